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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from offclip.data.journal import as_line, read_lines
from offclip.data.spread import Spread
from offclip.files import atomic_path, path_inside
from offclip.folders import settled
from offclip.imaging import read_radiograph
from offclip.imaging.facts import image_facts
from offclip.imaging.resize import LONGER_SIDE, ImageRows, published_square
from offclip.keys import code_version, fingerprint_inside

PICTURES, IMAGES = "pictures.npy", "images.parquet"
JOURNAL = "images.jsonl"
"""Rows whose images are in the array, for a call that continues; who finishes may remove it."""
PART = 256
"""Images of one task of the parallel map."""
FAULTS = ("missing_image", "outside", "unreadable_image")
"""Why there is no picture: no such file, a path that leads out of the root, or not an image."""
_SHAPE = (LONGER_SIDE, LONGER_SIDE)
_Row: TypeAlias = dict[str, Any]
_Task: TypeAlias = tuple[int, list[str], pd.DataFrame]


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

    A file that cannot be read is a row with its ``error``, never one row less. Called again, it
    continues, and the rows of an earlier cache are copied: only images are read again whose file
    has changed (by its fingerprint), could not be read or was read by other code, or whose pixels
    are damaged. The bytes of both files do not depend on who made which part. ``JOURNAL`` stays in
    the folder, for a further call.

    Args:
        folder: for the cache; nobody else may write there.
        root: of the images; nothing outside it is opened.
        names: paths below ``root``, each once.
        before: folder of an earlier cache of the same files.
        spread: parallel map over the parts.

    Raises:
        ValueError: no name, or one that is there twice.
        OSError: the disk is full; the parts that were finished stay.
    """
    folder, root, names = Path(folder).absolute(), Path(root).absolute(), list(names)
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if not names or len(repeated):
        raise ValueError(
            "names: expected at least one, each once; got "
            + (f"{repeated[0]!r} more than once" if len(repeated) else "none")
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / IMAGES).unlink(missing_ok=True)  # it comes last: without it, nothing is finished
    earlier = _earlier(before, names)
    if earlier is not None and not (folder / PICTURES).exists():
        with atomic_path(folder / PICTURES) as temporary:
            shutil.copyfile(Path(before or "") / PICTURES, temporary)
    rows_before = pd.DataFrame([row for _, row in read_lines(folder / JOURNAL)])
    if earlier is not None:
        rows_before = pd.concat([earlier.images, rows_before])
    _make_room(folder / PICTURES, len(names))
    parts = []
    with (folder / JOURNAL).open("ab") as journal:
        tasks = _tasks(names, rows_before)
        for rows, new_rows in spread(partial(_write_part, folder / PICTURES, root), tasks):
            parts.append(pd.DataFrame(rows))
            journal.writelines(map(as_line, new_rows))
            journal.flush()
    with atomic_path(folder / IMAGES) as temporary:
        pd.concat(parts, ignore_index=True).to_parquet(temporary, index=False)
    return ImageCache.read(folder)


def _earlier(folder: str | Path | None, names: list[str]) -> ImageCache | None:
    """An earlier cache of exactly these names, if there is one."""
    if folder is None:
        return None
    try:
        cache = ImageCache.read(folder)
    except (FileNotFoundError, ValueError):
        return None
    return cache if cache.images["image"].tolist() == names else None


def _tasks(names: list[str], rows_before: pd.DataFrame) -> Iterator[_Task]:
    """First row, names, and the rows that are known of them, part by part."""
    if len(rows_before):
        rows_before = rows_before.drop_duplicates("image", keep="last", ignore_index=True)
    index = pd.Index(rows_before.get("image", []))
    for start in range(0, len(names), PART):
        own = names[start : start + PART]
        places = index.get_indexer(own)
        yield start, own, rows_before.iloc[places[places >= 0]]


def _make_room(path: Path, count: int) -> None:
    """An array of ``count`` black images, or the one that is there.

    Its room on the disk is taken at once.
    """
    shape = (count, *_SHAPE)
    try:
        if np.load(path, mmap_mode="r").shape == shape:
            return
    except (OSError, ValueError):
        pass
    with atomic_path(path) as temporary:
        np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not hours later
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)


def _write_part(array: Path, root: Path, task: _Task) -> tuple[list[_Row], list[_Row]]:
    """All rows of a part, and those of them that are new; writes their images.

    A row that is known counts only if the array holds what it was written for, by its checksum:
    neither a process that was killed nor a change of ``names`` can give an image another name.
    """
    start, names, known = task
    rows_before = {row["image"]: row for row in known.to_dict("records")}
    images = np.array(np.load(array, mmap_mode="r")[start : start + len(names)])
    rows: list[_Row] = []
    new_rows: list[_Row] = []
    for image, name in zip(images, names, strict=True):
        fingerprint = fingerprint_inside(root, name)
        now = {"image": name, "fingerprint": fingerprint, "code": code_version(__name__)}
        row = rows_before.get(name, {})
        same = not row.get("fault", "unknown") and now.items() <= row.items()
        if not same or row["crc32"] != zlib.crc32(image.tobytes()):
            image[:], about = _picture(root, name)
            row = {**now, **about, "crc32": zlib.crc32(image.tobytes())}
            new_rows.append(row)
        rows.append(row)
    if new_rows:
        _put(array, start, images)
    return rows, new_rows


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
