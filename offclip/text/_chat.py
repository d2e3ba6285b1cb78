"""One exchange with an OpenAI-compatible server: a request out, the bytes of the answer back.

Speaks ``http.client`` on purpose: unlike higher layers it follows no redirect and reads no proxy
from the environment, so text goes to the given destination or nowhere. Imports the destination.
"""

import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from offclip.text.destination import Destination

ANSWER_LIMIT = 1_000_000
"""Largest answer that is read, in bytes; a list of prompts has some hundred."""
_PIECE = 65_536
_SERVER_REMEDY = "Check that the server runs, and give it more time with timeout"
_BUSY_REMEDY = "Look into the server's log, or run it with fewer requests at once"
_CERTIFICATE_REMEDY = "Check the host's name, or name its authority's file in SSL_CERT_FILE"
_SETUP_REMEDY = "Check endpoint, model and api_key against the server's documentation"


class Fault(Exception):
    """Why a request gave no usable answer. Holds nothing of the request or of the answer.

    Attributes:
        said: what went wrong, in our own words.
        remedy: what the user can do.
        again: whether the same request may succeed later.
        wait: seconds that the server asks to be left alone, or None.
    """

    def __init__(
        self, said: str, remedy: str, *, again: bool = True, wait: float | None = None
    ) -> None:
        """Keep the four facts; see the class."""
        super().__init__(said)
        self.said, self.remedy, self.again, self.wait = said, remedy, again, wait


def post(where: Destination, body: bytes, *, api_key: str, timeout: float) -> bytes:
    """Send a chat-completions request and return the whole body of the answer.

    Args:
        where: the admitted server; ``/chat/completions`` is added to its path.
        body: the request as JSON.
        api_key: sent as bearer token; empty for none.
        timeout: seconds to connect, for each wait for the server, and for the body in all.

    Raises:
        Fault: no answer in time, a status other than 200, a redirect, a certificate that is not
            trusted, an answer that ends early or is larger than ``ANSWER_LIMIT``.
    """
    try:
        connection = _connect(where, timeout)
        try:
            headers = {"Content-Type": "application/json"}
            if api_key:
                headers["Authorization"] = f"Bearer {api_key}"
            connection.request("POST", f"{where.path}/chat/completions", body, headers)
            with connection.getresponse() as response:
                _expect_success(response)
                return _read(response, time.monotonic() + timeout)
        finally:
            connection.close()
    except TimeoutError:
        raise Fault(f"no whole answer within {timeout:g} s", _SERVER_REMEDY) from None
    except ssl.SSLCertVerificationError:
        said = "a certificate that this machine does not trust"
        raise Fault(said, _CERTIFICATE_REMEDY, again=False) from None
    except (OSError, HTTPException) as error:
        failure = type(error).__name__
    raise Fault(f"the connection failed ({failure})", _SERVER_REMEDY)


def _connect(where: Destination, timeout: float) -> HTTPConnection:
    """Return a connection to the first address that answers."""
    for address in where.addresses:
        try:
            plain = socket.create_connection((address, where.port), timeout)
            break
        except OSError:
            if address == where.addresses[-1]:
                raise
    if where.scheme == "http":
        connection = HTTPConnection(where.host, where.port)
        connection.sock = plain
        return connection
    context = ssl.create_default_context()
    connection = HTTPSConnection(where.host, where.port, context=context)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=where.host)
    except OSError:
        plain.close()
        raise
    return connection


def _expect_success(response: HTTPResponse) -> None:
    """Raise the fault that belongs to a status other than 200."""
    status = response.status
    if status == 200:
        return
    if 300 <= status < 400:
        raise Fault(f"a redirect ({status}), which is never followed", _SETUP_REMEDY, again=False)
    busy = status == 429 or status >= 500
    asked = (response.getheader("Retry-After") or "").strip()
    wait = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
    said = f"status {status}"
    raise Fault(said, _BUSY_REMEDY if busy else _SETUP_REMEDY, again=busy, wait=wait)


def _read(response: HTTPResponse, deadline: float) -> bytes:
    """Return the body; a fault when it is too large or ends before its announced length."""
    pieces: list[bytes] = []
    total = 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        total += len(piece)
        if total > ANSWER_LIMIT:
            raise Fault(f"an answer of more than {ANSWER_LIMIT} bytes", _SETUP_REMEDY)
        if time.monotonic() > deadline:
            raise TimeoutError
    if response.length:
        raise Fault("an answer that ends before its announced length", _SERVER_REMEDY)
    return b"".join(pieces)
