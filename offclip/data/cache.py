"""An image cache: the 256-px squares of a dataset in one array on disk, each under its name.

``pictures.npy`` (row, 256, 256; uint8) and ``images.parquet``, in the same order: ``image``,
``width`` and ``height`` of the file as it is read, ``view``, ``sideways`` and ``orientation`` as
its metadata has them, ``fault`` and ``error``; and by what a row is known to be up to date:
``fingerprint`` of the file, version of the ``code`` that read it, ``crc32`` of the picture. Any
NumPy reads the first, any pandas the second; nothing is decoded when training starts.
"""

import os
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.parts import Part, cut, rows_before
from offclip.data.spread import Spread
from offclip.files import atomic_path, path_inside
from offclip.folders import settled
from offclip.imaging import read_radiograph
from offclip.imaging.facts import image_facts
from offclip.imaging.resize import LONGER_SIDE, ImageRows, published_square
from offclip.keys import code_version, fingerprint_inside

PICTURES, IMAGES, PARTS = "pictures.npy", "images.parquet", "parts"
UNFINISHED = f"{PICTURES}.part"
PART = 256  # pictures of a part: what is lost at most when a worker dies
FAULTS = ("missing_image", "outside", "unreadable_image")
"""Why there is no picture: no such file, a path that leads out of the root, or not an image."""
_SHAPE = (LONGER_SIDE, LONGER_SIDE)


@dataclass(frozen=True)
class ImageCache:
    """Pictures by the name of their file.

    Attributes:
        pictures: memory-mapped, (row, 256, 256) of uint8; black where a file could not be read.
        images: one row a picture: ``image``, ``width``, ``height``, ``view``, ``sideways``,
            ``orientation``, ``fault`` (of ``FAULTS``, or ""), ``error`` (the words for it),
            ``fingerprint``, ``code``, ``crc32``.
    """

    pictures: np.ndarray
    images: pd.DataFrame

    @classmethod
    def read(cls, folder: str | Path) -> "ImageCache":
        """Open a cache.

        Raises:
            FileNotFoundError: there is none, or it was not finished.
            ValueError: its two files do not belong together, or one is damaged.
        """
        folder = settled(folder)
        for name in (PICTURES, IMAGES):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder / name}: expected a finished image cache; run curate (again)"
                )
        try:
            pictures = np.load(folder / PICTURES, mmap_mode="r")
            images = pd.read_parquet(folder / IMAGES)
        except (ValueError, OSError) as error:
            raise ValueError(f"{folder}: damaged image cache ({error}); curate again") from error
        if len(pictures) != len(images):
            raise ValueError(
                f"{folder}: {len(pictures)} pictures and {len(images)} names; curate again"
            )
        return cls(pictures, images)

    def rows(self, names: Sequence[str]) -> ImageRows:
        """The pictures of these files, read when they are asked for.

        Raises:
            ValueError: a name is not in the cache, or its file could not be read; the first three.
        """
        rows = pd.Index(self.images["image"]).get_indexer(list(names))
        missing = [name for name, row in zip(names, rows, strict=True) if row < 0]
        errors = self.images["error"].to_numpy()[rows[rows >= 0]]
        found = [f"{name} is not in the cache" for name in missing] + [e for e in errors if e]
        if found:
            raise ValueError(f"{len(found)} of {len(rows)} pictures: {'; '.join(found[:3])}")
        return ImageRows(self.pictures, rows)

    def damaged(self) -> list[str]:
        """Names whose picture is not what was written (by checksum); reads everything."""
        sums = [zlib.crc32(picture.tobytes()) for picture in self.pictures]
        wrong: list[str] = self.images["image"][self.images["crc32"] != np.array(sums)].tolist()
        return wrong


def write_cache(
    folder: str | Path,
    root: str | Path,
    names: Sequence[str],
    *,
    before: str | Path | None = None,
    spread: Spread = map,
) -> ImageCache:
    """Read image files and keep them as 256-px squares.

    A file that cannot be read is a row with its ``error``, never one row less. Called again with
    the same names, finished or not, only rows are read again whose file has changed (by its
    fingerprint), could not be read, was read by other code, or whose picture is damaged. The bytes
    of both files do not depend on who made which part.

    Args:
        folder: for the cache; nobody else may write there.
        root: of the images; nothing outside it is opened.
        names: paths below ``root``, each once.
        before: folder of an earlier cache of the same files, whose rows are copied.
        spread: shares out the parts.

    Raises:
        ValueError: no name, or one that is there twice; or somebody else wrote into the folder.
        OSError: the disk is full; the parts that were finished stay.
    """
    folder, root, names = Path(folder).absolute(), Path(root).absolute(), list(names)
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if not names or len(repeated):
        raise ValueError(
            "names: expected at least one, each once; got "
            + (f"{repeated[0]!r} more than once" if len(repeated) else "none")
        )
    _copy(before, folder, names)
    _take_up(folder, names)
    _make_room(folder / UNFINISHED, len(names))
    for _ in spread(partial(_write_part, folder, root), cut(names, PART)):
        pass
    images = pd.concat([pd.read_parquet(_file(folder, start)) for start, _ in cut(names, PART)])
    if images["image"].tolist() != names:
        raise ValueError(f"{folder}: somebody else wrote here at the same time; curate again")
    (folder / UNFINISHED).replace(folder / PICTURES)
    _write_index(folder / IMAGES, images)
    shutil.rmtree(folder / PARTS)
    return ImageCache.read(folder)


def _copy(before: str | Path | None, folder: Path, names: Sequence[str]) -> None:
    """Start from a copy of an earlier cache of these names, where nothing was begun yet."""
    if before is None or any((folder / name).exists() for name in (PICTURES, UNFINISHED)):
        return
    try:
        earlier = ImageCache.read(before)
    except (FileNotFoundError, ValueError):
        return
    if earlier.images["image"].tolist() == names:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (IMAGES, PICTURES):
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(Path(before) / name, temporary)


def _take_up(folder: Path, names: Sequence[str]) -> None:
    """Make a finished cache of these names one that is nearly finished; drop one of others."""
    try:
        finished = ImageCache.read(folder)
        same = finished.images["image"].tolist() == names and "code" in finished.images
    except FileNotFoundError:
        if (folder / PICTURES).exists() and (folder / PARTS).exists():  # stopped at the last step
            (folder / PICTURES).replace(folder / UNFINISHED)
        same = False
    except ValueError:
        same = False
    if same:
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        for start, part in cut(names, PART):
            _write_index(_file(folder, start), finished.images[start : start + len(part)])
        (folder / PICTURES).replace(folder / UNFINISHED)
    (folder / IMAGES).unlink(missing_ok=True)  # pictures never lie beside the names of others
    (folder / PICTURES).unlink(missing_ok=True)


def _make_room(path: Path, count: int) -> None:
    """An array of ``count`` black pictures, or the one that an interrupted call left.

    Its room on the disk is taken at once.
    """
    shape = (count, *_SHAPE)
    try:
        if np.load(path, mmap_mode="r").shape == shape:
            return
    except (OSError, ValueError):
        pass
    shutil.rmtree(path.parent / PARTS, ignore_errors=True)  # they told of another array
    with atomic_path(path) as temporary:
        np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and no signal later on
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)


def _write_part(folder: Path, root: Path, part: Part) -> None:
    """Read the rows of a part that are not up to date."""
    start, names = part
    path, array = _file(folder, start), folder / UNFINISHED
    before = rows_before(path, "image", names)
    pictures = np.array(np.load(array, mmap_mode="r")[start : start + len(names)])
    found, fresh = [], not before
    for row, name, old in zip(pictures, names, before or [{}] * len(names), strict=True):
        fingerprint = fingerprint_inside(root, name)
        known = {"image": name, "fingerprint": fingerprint, "code": code_version(__name__)}
        same = old and not old["fault"] and known.items() <= old.items()
        if same and old["crc32"] == zlib.crc32(row.tobytes()):
            found.append(old)
            continue
        row[:], about = _picture(root, name)
        found.append({**known, **about, "crc32": zlib.crc32(row.tobytes())})
        fresh = True
    if fresh:
        path.unlink(missing_ok=True)  # while it is written, nothing vouches for the array
        _put(array, start, pictures)
        _write_index(path, pd.DataFrame(found))


def _put(path: Path, row: int, pictures: np.ndarray) -> None:
    """Write rows in place: bytes of their own, since machines that share a disk share no memory."""
    start = int(np.load(path, mmap_mode="r").offset) + row * LONGER_SIDE**2
    try:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(pictures.tobytes())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, f"could not write {path}: {error.strerror}") from error


def _write_index(path: Path, images: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        images.to_parquet(temporary, index=False)


def _picture(root: Path, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The square, and what the index says of it; black where the file cannot be read."""
    try:
        path = path_inside(root, name)
        if path is None:
            return _black("outside", f"{name}: leads out of {root}; nothing outside it is opened")
        grey, facts = read_radiograph(path), image_facts(path)
        height, width = grey.shape
        about = {"width": width, "height": height, "view": facts.view}
        about |= {"sideways": facts.sideways, "orientation": facts.orientation}
        return published_square(grey), {**about, "fault": "", "error": ""}
    except FileNotFoundError as error:
        return _black("missing_image", str(error))
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        return _black("unreadable_image", str(error) or type(error).__name__)


def _black(fault: str, error: str) -> tuple[np.ndarray, dict[str, Any]]:
    about = {"width": 0, "height": 0, "view": "", "sideways": False, "orientation": 1}
    return np.zeros(_SHAPE, np.uint8), {**about, "fault": fault, "error": error}


def _file(folder: Path, start: int) -> Path:
    return folder / PARTS / f"{start:08d}.parquet"
