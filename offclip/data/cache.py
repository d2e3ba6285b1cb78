"""An image cache: the 256-px squares of a dataset in one array on disk, each under its name.

``pictures.npy`` (row, 256, 256; uint8) and ``images.parquet`` (``image``, ``width`` and ``height``
of the file, ``crc32`` of the row, ``error``), in the same order. Any NumPy reads the first, any
pandas the second; nothing is decoded when training starts.
"""

import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.pictures import read_grey
from offclip.files import atomic_path
from offclip.squares import LONGER_SIDE, PictureRows, published_square

PICTURES, IMAGES, PARTS = "pictures.npy", "images.parquet", "parts"
PART = 512  # pictures of a part: what is lost at most when a worker dies


@dataclass(frozen=True)
class ImageCache:
    """Pictures by the name of their file.

    Attributes:
        pictures: memory-mapped, (row, 256, 256) of uint8; black where a file could not be read.
        images: ``image``, ``width``, ``height``, ``crc32``, ``error``; one row a picture.
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
        folder = Path(folder)
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

    def rows(self, names: Sequence[str]) -> PictureRows:
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
        return PictureRows(self.pictures, rows)

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
    spread: Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]] = map,
) -> ImageCache:
    """Read image files and keep them as 256-px squares; finished parts are not read again.

    A file that cannot be read is a row with its ``error``, never one row less. Called again with
    the same names, only such files are tried anew; a file that has changed since is not noticed.

    Args:
        folder: for the cache.
        root: of the images; nothing outside it is opened.
        names: paths below ``root``, each once.
        spread: applies a function to the numbers of the parts, in any order and process.

    Raises:
        ValueError: no name, or one that is there twice.
        OSError: the disk is full; the parts that were finished stay.
    """
    folder, names = Path(folder), list(names)
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if not names or len(repeated):
        raise ValueError(
            "names: expected at least one, each once; got "
            + (f"{repeated[0]!r} more than once" if len(repeated) else "none")
        )
    if (folder / IMAGES).exists() and _names(folder / IMAGES) == names:
        _read_again(folder, Path(root))
        return ImageCache.read(folder)
    (folder / IMAGES).unlink(missing_ok=True)  # pictures never lie beside the names of others
    unfinished = folder / f"{PICTURES}.part"
    _make_room(unfinished, len(names))
    write = partial(_write_part, folder, Path(root), names)
    for _ in spread(write, range(-(-len(names) // PART))):
        pass
    parts = [_part(folder, number) for number in range(-(-len(names) // PART))]
    images = pd.concat([pd.read_parquet(part) for part in parts])
    unfinished.replace(folder / PICTURES)
    _write_index(folder / IMAGES, images)
    shutil.rmtree(folder / PARTS)
    return ImageCache.read(folder)


def _make_room(path: Path, count: int) -> None:
    """An array of ``count`` black pictures, or the one that an interrupted call left."""
    shape = (count, LONGER_SIDE, LONGER_SIDE)
    if path.exists() and np.load(path, mmap_mode="r").shape == shape:
        return
    shutil.rmtree(path.parent / PARTS, ignore_errors=True)  # they told of another array
    with atomic_path(path) as temporary:
        np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()


def _write_part(folder: Path, root: Path, names: Sequence[str], number: int) -> None:
    start = number * PART
    part, names = _part(folder, number), names[start : start + PART]
    if part.exists() and _names(part) == names:
        return
    rows = np.load(folder / f"{PICTURES}.part", mmap_mode="r+")[start : start + len(names)]
    found = []
    for row, name in zip(rows, names, strict=True):
        row[:], about = _picture(root, name)
        found.append({"image": name, **about, "crc32": zlib.crc32(row.tobytes())})
    rows.flush()
    _write_index(part, pd.DataFrame(found))


def _read_again(folder: Path, root: Path) -> None:
    """Read the files anew that could not be read before."""
    images = pd.read_parquet(folder / IMAGES)
    broken = np.flatnonzero(images["error"] != "")
    if not len(broken):
        return
    pictures = np.load(folder / PICTURES, mmap_mode="r+")
    for row in broken:
        pictures[row], about = _picture(root, images.loc[row, "image"])
        about["crc32"] = zlib.crc32(pictures[row].tobytes())
        images.loc[row, list(about)] = list(about.values())
    pictures.flush()
    _write_index(folder / IMAGES, images)


def _write_index(path: Path, images: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        images.to_parquet(temporary, index=False)


def _picture(root: Path, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The square, and what the index says of it; black where the file cannot be read."""
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise ValueError(f"{name}: leads out of {root}; nothing outside it is opened")
        grey = read_grey(path)
        height, width = grey.shape
        return published_square(grey), {"width": width, "height": height, "error": ""}
    except (ValueError, OSError, MemoryError) as error:
        black = np.zeros((LONGER_SIDE, LONGER_SIDE), np.uint8)
        return black, {"width": 0, "height": 0, "error": str(error) or type(error).__name__}


def _part(folder: Path, number: int) -> Path:
    return folder / PARTS / f"{number:06d}.parquet"


def _names(path: Path) -> list[str]:
    names: list[str] = pd.read_parquet(path, columns=["image"])["image"].tolist()
    return names
