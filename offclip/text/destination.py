"""Where report text may be sent: the access rule of every prompter that speaks to a server.

The agreements of credentialed and registration data forbid passing the text to third parties. So
such text goes to a server on this machine, or to a host that the user has signed for. Imports
nothing of the package.
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
        scheme: "http" or "https".
        host, port, path: of the endpoint.
        addresses: what to connect to: this machine's own addresses, found once so that a later
            answer of the name service changes nothing, or the host's name for a server elsewhere.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


def destination(endpoint: str, access: str, permission: TextPermission | None) -> Destination:
    """Return the server that text of this access class may be sent to, or raise.

    A host is this machine when every address of it is a loopback address (127.0.0.0/8 or ::1).
    A host elsewhere needs https, and for registration and credentialed data a permission that
    names it. Only the name service is asked here. No text is sent.

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
    parts, port = _parts(endpoint)
    host = (parts.hostname or "").rstrip(".")
    path = parts.path.rstrip("/")
    signed = permission.hosts if permission is not None else ()
    admitted = access in OPEN_ACCESS or host in signed
    addresses = _addresses(host, port)
    here = bool(addresses) and all(_is_loopback(address) for address in addresses)
    if here:
        return Destination(parts.scheme, host, port, path, addresses)
    if not admitted:
        raise ValueError(
            f"endpoint: expected a server on this machine for {access} data, got host {host!r}"
            f"{'' if addresses else ', which has no address'}. Nothing was sent. Use 127.0.0.1, "
            "or hand in a TextPermission for this host if your data-use agreement allows it"
        )
    if parts.scheme != "https":
        raise ValueError(
            f"endpoint: expected https for a host that is not this machine, got http to {host!r}. "
            "Nothing was sent. Use https, or a server on 127.0.0.1"
        )
    return Destination(parts.scheme, host, port, path, (host,))


def _parts(endpoint: str) -> tuple[SplitResult, int]:
    """Return the endpoint's parts and its port; ``ValueError`` unless it is a plain address."""
    expected = "expected an address such as 'http://127.0.0.1:8080/v1'"
    try:
        parts = urlsplit(endpoint)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as error:
        raise ValueError(f"endpoint: {expected}, got {error}; correct it") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"endpoint: {expected}, got one with user, query or fragment; "
            "leave these out and give a key as api_key"
        )
    if not port or not parts.hostname or not re.fullmatch(r"[!-~]+", endpoint):
        raise ValueError(f"endpoint: {expected}, got {endpoint!r}; name scheme and host in ASCII")
    return parts, port


def _addresses(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host, none when the name service knows none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
