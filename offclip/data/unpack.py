"""Unpack an archive of files that somebody else made: nothing outside the folder, no bombs.

Only plain files are written, so no link, device or mode of the archive matters. Imports nothing of
the package but where free space is looked up.
"""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from offclip.data.download import require_room

MEMBER_LIMIT = 200_000
"""Files of one archive; the largest public one has about 10,000."""
RATIO_LIMIT = 20
"""Bytes unpacked for each of the archive; radiographs give about one, XML about ten."""
SMALL = 1_000_000_000
"""Bytes that any archive may unpack to."""
HEADER_LIMIT = 1 << 20
"""Bytes that a tar archive may make us hold in memory at once."""
ENDINGS = (".tar.gz", ".tgz", ".zip")

_DAMAGE = (EOFError, NotImplementedError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
           zlib.error)  # fmt: skip

_Member = tuple[str, int, Any]  # name, size, and an open file or None for a folder


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpack a .tgz, .tar.gz or .zip file into a new folder; return the folder.

    The folder appears when all is in it. A folder that holds something is left as it is.

    Raises:
        ValueError: damaged; a name that leads out of the folder or comes twice; a member that is no
            plain file (link, device, encrypted); too many or too large. Nothing is left behind.
        OSError: the disk is full; nothing is left behind.
    """
    archive, folder = Path(archive), Path(folder)
    if is_filled(folder):
        return folder
    if not archive.name.endswith(ENDINGS):
        raise ValueError(f"{archive}: expected one of {', '.join(ENDINGS)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    require_room(folder.parent, archive.stat().st_size)
    begun = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir()
    try:
        _write(archive, begun)
        begun.rename(folder)
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(
                error.errno,
                f"could not write {folder}: {error.strerror}; nothing was left behind. Free some "
                "space, then run again",
            ) from error
        raise ValueError(  # gzip and bz2 raise an OSError without a number
            f"{archive}: expected a whole archive, got a damaged one ({error}); delete it and "
            "fetch it again"
        ) from error
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return folder


def is_filled(folder: Path) -> bool:
    """Whether it is a folder that holds something."""
    return folder.is_dir() and any(folder.iterdir())


def _write(archive: Path, folder: Path) -> None:
    most = max(SMALL, RATIO_LIMIT * archive.stat().st_size)
    total = count = 0
    with (_zipped if archive.suffix == ".zip" else _tarred)(archive) as members:
        for name, size, content in members:
            total, count = total + size, count + 1
            if total > most or count > MEMBER_LIMIT:
                raise ValueError(
                    f"{archive}: expected at most {MEMBER_LIMIT} files of {most} bytes in all, got "
                    "more; it may be made to fill the disk: do not unpack it"
                )
            _write_one(archive, folder / _inside(archive, name), content)


def _write_one(archive: Path, target: Path, content: Any) -> None:
    """A file, or a folder where there is no content."""
    try:
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(f"{archive}: {target.name!r} is in it twice; do not use it") from error


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(each in name for each in "\\:\0"):
        raise ValueError(f"{archive}: {name!r} leads out of the folder; do not use this archive")
    return path


class _Header(gzip.GzipFile):
    """Refuses to hold what a crafted header declares; files are copied in small pieces."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= HEADER_LIMIT:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


@contextmanager
def _tarred(path: Path) -> Iterator[Iterator[_Member]]:
    with _Header(path) as unzipped, tarfile.open(fileobj=unzipped, mode="r:") as archive:
        yield _tar_members(path, archive)
        while unzipped.read(HEADER_LIMIT):  # to the end, where the checksum is
            pass


def _tar_members(path: Path, archive: tarfile.TarFile) -> Iterator[_Member]:
    for member in archive:
        if not member.isdir() and not member.isreg():
            raise _no_file(path, member.name)
        yield member.name, member.size, None if member.isdir() else archive.extractfile(member)


@contextmanager
def _zipped(path: Path) -> Iterator[Iterator[_Member]]:
    with zipfile.ZipFile(path) as archive:
        yield _zip_members(path, archive)


def _zip_members(path: Path, archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or member.flag_bits & 1:
            raise _no_file(path, member.filename)
        name, size = member.filename, member.file_size
        yield name, size, None if member.is_dir() else archive.open(member)


def _no_file(path: Path, name: str) -> ValueError:
    return ValueError(
        f"{path}: expected plain files, {name!r} is a link, a device or encrypted; do not use it"
    )
