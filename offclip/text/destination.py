"""Where report text may be sent: the access rule of every prompter that speaks to a server.

The agreements of credentialed and registration data forbid passing the text to third parties. So
such text goes to a server on this machine, or to a host that the user has signed for.
"""

import datetime
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

OPEN_ACCESS = ("open", "open-no-derivatives")
RESTRICTED_ACCESS = ("registration", "credentialed")
_HOST = re.compile(r"(?=.*[a-z])[a-z0-9-]+(\.[a-z0-9-]+)*")


@dataclass(frozen=True)
class TextPermission:
    """A signed statement: the data-use agreement lets this text go to these hosts.

    Nothing here can check that it is true. It makes the decision explicit, dated and someone's.

    Attributes:
        hosts: exact host names in lower case, without scheme, port or wildcard.
        signed_by: full name of the person who answers for it.
        date: day of the signature.
    """

    hosts: tuple[str, ...]
    signed_by: str
    date: datetime.date

    def __post_init__(self) -> None:
        """Refuse a statement without hosts or without a name."""
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"hosts: expected plain host names in lower case, got {host!r}; "
                    "leave out scheme, port, path and wildcards"
                )
        if not self.hosts:
            raise ValueError("hosts: expected at least one host name, got none; name it")
        if not self.signed_by.strip():
            raise ValueError("signed_by: expected a person's name, got none; sign the statement")


@dataclass(frozen=True)
class Destination:
    """A server that the access rule admits.

    Attributes:
        url: of its chat completions. A name of this machine is replaced by the address that was
            checked, so that a later answer of the name service changes nothing.
        host: host and port as in the endpoint.
        name: host alone, which a certificate has to state.
    """

    url: str
    host: str
    name: str


def destination(endpoint: str, access: str, permission: TextPermission | None) -> Destination:
    """Return the server that text of this access class may be sent to, or raise.

    A host is this machine when every address of it is a loopback address (127.0.0.0/8 or ::1).
    A host elsewhere needs https, and for registration and credentialed data a permission that
    names it. No text is sent here.

    Args:
        endpoint: base address such as "http://127.0.0.1:8080/v1".
        access: "open", "open-no-derivatives", "registration" or "credentialed".
        permission: the signed statement, or None.

    Raises:
        ValueError: a malformed endpoint, an unknown access class or a host that is not admitted.
    """
    if access not in OPEN_ACCESS + RESTRICTED_ACCESS:
        raise ValueError(
            f"access: expected one of {OPEN_ACCESS + RESTRICTED_ACCESS}, got {access!r}; "
            "take it from the dataset's manifest"
        )
    parts = _parts(endpoint)
    name = (parts.hostname or "").rstrip(".")
    path = f"{parts.path.rstrip('/')}/chat/completions"
    addresses = _addresses(name)
    if addresses and all(ipaddress.ip_address(each).is_loopback for each in addresses):
        address = min(addresses, key=lambda each: ":" in each)  # local servers listen on IPv4
        here = f"[{address}]" if ":" in address else address
        port = "" if parts.port is None else f":{parts.port}"
        return Destination(f"{parts.scheme}://{here}{port}{path}", parts.netloc, name)
    signed = permission is not None and name in permission.hosts
    if access in RESTRICTED_ACCESS and not signed:
        raise ValueError(
            f"endpoint: expected a server on this machine for {access} data, got host {name!r}"
            f"{'' if addresses else ', which has no address'}. Nothing was sent. Use 127.0.0.1, "
            "or hand in a TextPermission for this host if your data-use agreement allows it"
        )
    if parts.scheme != "https":
        raise ValueError(
            f"endpoint: expected https for a host that is not this machine, got http to {name!r}. "
            "Nothing was sent. Use https, or a server on 127.0.0.1"
        )
    return Destination(f"{parts.scheme}://{parts.netloc}{path}", parts.netloc, name)


def _parts(endpoint: str) -> SplitResult:
    """Return the parts of an endpoint; one with a user, a query or a fragment is refused."""
    try:
        parts = urlsplit(endpoint)
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        plain = False
    if not plain or not re.fullmatch(r"[!-~]+", endpoint) or re.search(r"[@?#]", endpoint):
        raise ValueError(
            "endpoint: expected an address such as 'http://127.0.0.1:8080/v1', got another form; "
            "give scheme, host, port and path in ASCII, and a key as api_key"
        )
    return parts


def _addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, none when the name service knows none."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(str(entry[4][0]) for entry in entries)
