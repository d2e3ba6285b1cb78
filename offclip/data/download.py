"""Download one file, continued where a connection broke, and unpack archives.

pooch compares checksums and moves the file to its place; its own downloaders start again from the
first byte, so it gets one that asks for the rest. pooch, requests and tqdm are imported where they
are used.
"""

import errno
import shutil
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offclip import __version__
from offclip.data.tables import UNFINISHED

AGENT = f"offclip/{__version__} (+https://github.com/offclip/offclip)"
CHUNK = 1 << 16
"""Bytes read at once."""
TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and between two reads."""
ATTEMPTS = 5
"""Connections in a row that bring nothing before a download gives up."""
ENDINGS = (".tar.gz", ".tgz", ".zip")
"""Archives that :func:`unpack` takes."""


def download(url: str, target: str | Path, *, digest: str = "", size: int = 0) -> Path:
    """Download ``url`` to ``target``, unless it is there and has this digest; return ``target``.

    ``target`` appears when it is whole and verified. What came before a failure stays in
    ``<target>.part``, and the next call asks for the rest.

    Args:
        url: http or https.
        target: of the file.
        digest: "sha256:…" or "md5:…"; empty: not known, and nothing is verified.
        size: in bytes; 0: not known.

    Raises:
        ValueError: another digest; nothing is kept.
        ConnectionError: the server cannot be reached, refuses, offers a file of another size, or
            the connection broke again and again.
        OSError: the disk is full.
    """
    import pooch

    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url,
            digest or None,
            fname=target.name,
            path=target.parent,
            downloader=_ResumingDownloader(part, size),
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


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpack a .tgz, .tar.gz or .zip file into a new or empty folder; return the folder.

    The folder appears when everything is in it. Nothing is written outside of it.

    Raises:
        ValueError: the archive is damaged, holds no file, or one that leads out of the folder.
        OSError: the disk is full. Nothing is left behind in either case.
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    require_room(folder.parent, archive.stat().st_size)
    unfinished = folder.with_name(f"{folder.name}{UNFINISHED}")
    shutil.rmtree(unfinished, ignore_errors=True)
    is_zip = archive.suffix == ".zip"  # zipfile takes no filter, it checks names by itself
    try:
        shutil.unpack_archive(archive, unfinished, filter=None if is_zip else "data")
        if not is_filled(unfinished):
            raise shutil.ReadError("it holds no file")
        unfinished.rename(folder)
    except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{archive}: expected a whole archive of files for one folder, got a damaged or unsafe "
            f"one ({error}); delete it and fetch it again"
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {folder}: {error.strerror}; nothing was left behind. Free some "
            "space, then run again",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def is_filled(folder: Path) -> bool:
    """Whether it is a folder that holds something."""
    return folder.is_dir() and any(folder.iterdir())


@dataclass(frozen=True)
class _ResumingDownloader:
    """A downloader as pooch calls it; ``part`` keeps what came so far."""

    part: Path
    size: int

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Download, with a new connection for the rest whenever one breaks."""
        import requests
        import urllib3

        size = f"{self.size / 1e9:.3f} GB" if self.size else "size not published"
        print(f"fetching {url} ({size})", flush=True)
        most, failures = self._bytes_so_far(), 0
        with _session() as session:
            while not self.size or self._bytes_so_far() != self.size:
                try:
                    self._receive_rest(session, url)
                    break
                except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                    so_far = self._bytes_so_far()
                    failures = 0 if so_far > most else failures + 1
                    most = max(most, so_far)
                    if not so_far or failures == ATTEMPTS:
                        kept = f"; {so_far} bytes are kept: run again to continue" if so_far else ""
                        raise ConnectionError(f"{url}: {_cause(error)}{kept}") from error
                    time.sleep(2.0**failures)
        shutil.move(self.part, output_file)

    def _bytes_so_far(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive_rest(self, session: Any, url: str) -> None:
        """Append what the server sends to the part; begin again if it sends the whole file."""
        from tqdm import tqdm

        start = self._bytes_so_far()
        headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as reply:
            if reply.status_code == 416:  # the file is not as long as the part
                self.part.unlink()
                return self._receive_rest(session, url)
            if not reply.ok:
                raise ConnectionError(
                    f"{url}: HTTP {reply.status_code} {reply.reason}; see how_to_get in the "
                    "manifest"
                )
            start = start if reply.status_code == 206 else 0
            total = self._checked_size(url, start, reply.headers.get("Content-Length"))
            require_room(self.part.parent, total - start)
            bar = tqdm(total=total or None, initial=start, unit="B", unit_scale=True, disable=None)
            with self.part.open("ab" if start else "wb") as file, bar:
                # not decoded: some servers call the gzip of an archive a content encoding
                for chunk in reply.raw.stream(CHUNK, decode_content=False):
                    self._write(file, chunk)
                    bar.update(len(chunk))

    def _checked_size(self, url: str, start: int, length: str | None) -> int:
        """Bytes of the whole file, 0 where neither manifest nor server names them."""
        if length is None:
            return self.size
        total = start + int(length)
        if self.size and total != self.size:
            self.part.unlink(missing_ok=True)
            raise ConnectionError(
                f"{url}: expected {self.size} bytes, the server offers {total}: the published file "
                "has changed, or a page came in its place; see how_to_get in the manifest"
            )
        return total

    def _write(self, file: Any, chunk: bytes) -> None:
        try:
            file.write(chunk)
        except OSError as error:
            raise OSError(
                error.errno,
                f"could not write {self.part}: {error.strerror}; what came is kept. Free some "
                "space, then run again",
            ) from error


def _session() -> Any:
    """A session that repeats requests which a busy server refuses, after the pause it names."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        ATTEMPTS,
        connect=0,
        redirect=False,
        backoff_factor=1,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _cause(error: Exception) -> object:
    """The reason inside the wrapping of requests and urllib3."""
    return getattr(error.args[0] if error.args else None, "reason", None) or error
