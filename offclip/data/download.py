"""One file over HTTP: continued after a cut connection, patient with a busy server, verified.

pooch compares checksums and gives the file its name; the transfer is ours, as pooch's own starts
anew each time. pooch, requests, urllib3 and tqdm are imported where they are used.
"""

import errno
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from offclip import __version__
from offclip.files import write_json

AGENT = f"offclip/{__version__} (+https://github.com/offclip/offclip)"
CHUNK = 1 << 16
"""Bytes read at once, which are lost when the server falls silent in between."""
PROGRESS = 1 << 20
"""A try that brings so many bytes is no failure, however it ends."""
LONGEST_PLEA = 600.0
"""Seconds that a server may ask us to wait; when it wants more, the user runs again later."""
SIZE_LIMIT = 50_000_000_000
"""Bytes taken at most where neither manifest nor server says how many there are."""
_LATER = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long a transfer waits for a server.

    Attributes:
        tries: in a row that bring next to nothing before it gives up.
        first_wait: seconds after the first of them; doubled after each.
        longest_wait: seconds, for the doubling.
        timeouts: seconds to connect, and between two reads.
        sleep: takes seconds.
    """

    tries: int = 8
    first_wait: float = 2.0
    longest_wait: float = 120.0
    timeouts: tuple[float, float] = (10.0, 60.0)
    sleep: Callable[[float], None] = time.sleep


class _Again(Exception):
    """This try failed and another may not. ``reached``: the server answered."""

    def __init__(self, why: str, *, wait: float = 0.0, reached: bool = True):
        super().__init__(why)
        self.wait, self.reached = wait, reached


def download(
    url: str,
    target: str | Path,
    *,
    digest: str = "",
    size: int = 0,
    part: str | Path | None = None,
    before: Callable[[], None] = lambda: None,
    patience: Patience | None = None,
) -> Path:
    """Download ``url`` to ``target``, unless it is there and has this digest; return ``target``.

    One connection at a time. What came is kept in ``part`` when a try, or the process, ends early,
    and the next one asks for the rest, provided that the server shows the file to be the same
    (ETag or Last-Modified), or a digest is known that will tell. ``target`` appears when it is
    whole and verified; what has another digest is removed.

    Args:
        url: http or https.
        target: of the file.
        digest: "sha256:…" or "md5:…"; empty: not known, nothing is verified.
        size: in bytes; 0: not known.
        part: where to keep what came so far; default: beside ``target``, ``<name>.part``.
        before: called when the file is not there yet, or damaged, before the server is asked.
        patience: with the server.

    Raises:
        ValueError: another digest.
        ConnectionError: the server cannot be reached, refuses, offers a file of another size, or
            failed again and again.
        OSError: the disk is full.
    """
    import pooch

    target = Path(target)
    part = Path(part) if part else target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(part, size, bool(digest), before, patience or Patience())
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url, digest or None, fname=target.name, path=target.parent, downloader=transfer
        )
    except ValueError as error:
        raise ValueError(
            f"{target}: checksum mismatch ({error}) Run again; if it happens again, the file has "
            f"changed at {url}: please report this"
        ) from error
    return target


def require_room(folder: Path, needed: int) -> None:
    """Raise ``OSError`` when fewer bytes than these are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"could not write into {folder}: expected {needed / 1e9:.1f} GB free, got "
            f"{free / 1e9:.1f} GB; free some space or choose another folder (OFFCLIP_CACHE), "
            "then run again",
        )


@dataclass(frozen=True)
class _Transfer:
    """A downloader as pooch calls it."""

    part: Path
    size: int
    verified: bool
    before: Callable[[], None]
    patience: Patience

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        self.before()
        had, failures, reached = 0, 0, False
        while True:
            had = max(had, _length(self.part))  # what came again after a new beginning counts once
            try:
                self._try(url)
                break
            except _Again as again:
                reached = reached or again.reached
                moved = _length(self.part) - had >= PROGRESS
                failures = 0 if moved else failures + 1
                if not reached or failures >= self.patience.tries:
                    kept = ", what came is kept: run again to go on" if self.part.exists() else ""
                    raise ConnectionError(f"{url}: {again}{kept}") from again
                doubled = self.patience.first_wait * 2 ** max(failures - 1, 0)
                self.patience.sleep(max(again.wait, min(doubled, self.patience.longest_wait)))
        shutil.move(self.part, output_file)
        self._known_at.unlink(missing_ok=True)

    @property
    def _known_at(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _known(self, url: str) -> dict[str, Any]:
        """What is known of the file that the part belongs to; empty: it cannot be continued."""
        try:
            known = json.loads(self._known_at.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        complete = isinstance(known, dict) and {"url", "total", "etag", "modified"} <= known.keys()
        if not complete or known["url"] != url:
            return {}
        return known if self.verified or _validator(known) else {}

    def _try(self, url: str) -> None:
        """Get the file, or the rest of it."""
        known = self._known(url)
        start = _length(self.part) if known else 0
        if start and start == known["total"]:
            return
        headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator := _validator(known):
                headers["If-Range"] = validator
        with _asked(url, headers, self.patience.timeouts) as reply:
            if reply.status_code == 206 and start:
                self._require_same(reply, known, start)
            elif reply.status_code == 200:
                start, known = 0, self._begin(url, reply)
            else:
                self._refuse(url, reply)
            self._receive(reply, start, known["total"])

    def _require_same(self, reply: Any, known: Mapping[str, Any], start: int) -> None:
        """Begin anew unless this is the rest of the same file."""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
        total = str(known["total"] or "*")
        same = all(known[key] == value for key, value in _marks(reply).items() if value)
        if not found or int(found[1]) != start or found[2] not in (total, "*") or not same:
            self.part.unlink(missing_ok=True)
            raise _Again("the file has changed, or the server sent another part of it")

    def _begin(self, url: str, reply: Any) -> dict[str, Any]:
        """Forget what came before; note of which file the part will be."""
        length = reply.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else self.size
        if self.size and total != self.size:
            raise ConnectionError(
                f"{url}: expected {self.size} bytes, the server offers {total}: the published file "
                "has changed, or a page came in its place; see how_to_get in the manifest"
            )
        self.part.unlink(missing_ok=True)
        known = {"url": url, "total": total, **_marks(reply)}
        write_json(self._known_at, known)
        return known

    def _refuse(self, url: str, reply: Any) -> None:
        status = f"HTTP {reply.status_code} {reply.reason}"
        if reply.status_code == 416:
            self.part.unlink(missing_ok=True)
            raise _Again(f"{status}: the file has become shorter")
        if reply.status_code not in _LATER:
            raise ConnectionError(f"{url}: {status}; see how_to_get in the manifest")
        wait = _plea(reply.headers.get("Retry-After", ""))
        if wait > LONGEST_PLEA:
            raise ConnectionError(f"{url}: {status}: asks to wait {wait:.0f} s; run again then")
        raise _Again(status, wait=wait)

    def _receive(self, reply: Any, start: int, total: int) -> None:
        """Append what comes to the part."""
        from tqdm import tqdm
        from urllib3.exceptions import HTTPError

        if total:
            require_room(self.part.parent, total - start)
        most = total or SIZE_LIMIT
        bar = tqdm(total=total or None, initial=start, unit="B", unit_scale=True, disable=None)
        with bar, self.part.open("ab") as file:
            try:
                # not decoded: a server may call an archive's own gzip a content encoding
                for chunk in reply.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    bar.update(len(chunk))
                    if file.tell() > most:
                        break
            except (HTTPError, ConnectionError, TimeoutError) as error:
                raise _Again(_cut(file.tell(), total)) from error
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"could not write {self.part}: {error.strerror}; what came is kept. Free some "
                    "space, then run again",
                ) from error
        got = _length(self.part)
        if got > most:
            self.part.unlink()
            raise ConnectionError(f"{reply.url}: expected {most} bytes, got more; not kept")
        if got < total:
            raise _Again(_cut(got, total))


@contextmanager
def _asked(url: str, headers: Mapping[str, str], timeouts: tuple[float, float]) -> Iterator[Any]:
    import requests

    try:
        reply = requests.get(url, headers=headers, stream=True, timeout=timeouts)
    except (requests.ConnectionError, requests.Timeout) as error:
        cause = getattr(error.args[0] if error.args else error, "reason", error)
        raise _Again(f"no answer ({cause})", reached=False) from error
    except requests.RequestException as error:
        raise ConnectionError(f"{url}: {error}") from error
    with reply:
        yield reply


def _marks(reply: Any) -> dict[str, str]:
    names = {"etag": "ETag", "modified": "Last-Modified"}
    return {key: reply.headers.get(name, "") for key, name in names.items()}


def _validator(known: Mapping[str, Any]) -> str:
    """What If-Range may name: a strong ETag, or the date."""
    etag = str(known.get("etag", ""))
    return etag if etag and not etag.startswith("W/") else str(known.get("modified", ""))


def _plea(header: str) -> float:
    """Seconds that Retry-After asks for; 0 when it says nothing."""
    if header.strip().isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max((until.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)


def _cut(got: int, total: int) -> str:
    return f"the connection was cut after {got} of {total or '?'} bytes"


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
