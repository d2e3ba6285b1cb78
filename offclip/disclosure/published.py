"""The files of a tree that is to be published, each read once. Imports nothing of the package."""

import io
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageSequence

from offclip.disclosure.markup import payloads, readings, unescaped

HOLDS_DATA = {
    b"PAR1": "a Parquet table", b"\x93NUMPY": "a NumPy array", b"ARROW1": "an Arrow table",
    b"\x89HDF": "an HDF5 file", b"SQLite format 3": "a database", b"%PDF": "a PDF file",
    b"PK\x03\x04": "an archive", b"7z\xbc\xaf": "an archive", b"\x1f\x8b": "a compressed file",
    b"BZh": "a compressed file", b"\xfd7zXZ": "a compressed file", b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle", b"\x80\x04": "a pickle", b"\x80\x05": "a pickle",
}  # fmt: skip
"""First bytes of files that hold data and cannot be read as text."""
HOLDS_DATA_BY_NAME = {
    ".dcm": "a DICOM file", ".dicom": "a DICOM file", ".npz": "NumPy arrays",
    ".safetensors": "weights or tokens", ".pt": "weights or tokens", ".pth": "weights or tokens",
    ".ckpt": "weights or tokens", ".tokens": "tokens", ".tfrecord": "tokens",
    ".parquet": "a Parquet table", ".npy": "a NumPy array", ".arrow": "an Arrow table",
    ".feather": "an Arrow table", ".h5": "an HDF5 file", ".hdf5": "an HDF5 file",
    ".pkl": "a pickle", ".pickle": "a pickle",
}  # fmt: skip
_HEAD = 4096  # bytes that tell what a file is
_FRAMES = 8  # of an animation; the rest shows the same
_MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class PublishedFile:
    """What one file shows.

    Attributes:
        path: of the file.
        name: of the folder that was given, and below it; of a file as it was given.
        raw: its text; empty for other files.
        texts: readings of it, and of what images say beside their pixels.
        pictures: its own and embedded ones, grey.
        data: what it is, where it holds data and cannot be read; "": it is none of these.
    """

    path: Path
    name: str
    raw: str
    texts: tuple[str, ...]
    pictures: tuple[UInt8[np.ndarray, "_ _"], ...]
    data: str


def published_files(paths: Iterable[str | Path]) -> Iterator[PublishedFile]:
    """Read every file at and below ``paths``; a repository's own ``.git`` is not published.

    Raises:
        FileNotFoundError: a path is not there.
    """
    for given in map(Path, paths):
        if given.is_file():
            yield read_published(given, given.as_posix())
        elif given.is_dir():
            for path in _below(given):
                yield read_published(path, f"{given.name}/{path.relative_to(given).as_posix()}")
        else:
            raise FileNotFoundError(
                f"path: expected a file or folder to check, got none at {given}"
            )


def _below(folder: Path) -> Iterator[Path]:
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if name != ".git")
        yield from (path for name in sorted(names) if (path := Path(place) / name).is_file())


def read_published(path: Path, name: str) -> PublishedFile:
    """Read one file: pictures and text as far as it has any, or what kind of data it holds."""
    with path.open("rb") as file:
        content = file.read(_HEAD)
        size = path.stat().st_size
        if data := data_kind(content, size) or HOLDS_DATA_BY_NAME.get(path.suffix.lower(), ""):
            return PublishedFile(path, name, "", (), (), data)
        content += file.read()
    if b"\0" in content[:_HEAD]:
        pictures, notes = _pictures(content)
        return PublishedFile(path, name, "", tuple(notes), tuple(pictures), "")
    raw = content.decode("utf-8", errors="replace")
    text, inside = payloads(raw)
    texts, pictures = readings(text), []
    for each in inside:
        if kind := data_kind(each, len(each)):
            return PublishedFile(path, name, raw, tuple(texts), (), f"{kind} in base64")
        found, notes = _pictures(each)
        pictures += found
        texts += notes if found else readings(each.decode("utf-8", errors="ignore"))
    return PublishedFile(path, name, raw, tuple(texts), tuple(pictures), "")


def data_kind(content: bytes, size: int) -> str:
    """What a file of so many bytes is by its first ones, if it is a kind with data; else ""."""
    if content[128:132] == b"DICM":
        return "a DICOM file"
    if content[8:10] == b'{"' and int.from_bytes(content[:8], "little") < size:
        return "weights or tokens"
    return next((kind for start, kind in HOLDS_DATA.items() if content.startswith(start)), "")


def _pictures(content: bytes) -> tuple[list[np.ndarray], list[str]]:
    """Grey frames of an image and the texts beside its pixels; nothing where it is no image."""
    pictures: list[np.ndarray] = []
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            notes = [value for value in map(_text, image.info.values()) if value]
            if image.width * image.height > _MOST_PIXELS:
                return [], notes
            for number, frame in enumerate(ImageSequence.Iterator(image)):
                if number == _FRAMES:
                    break
                pictures.append(_grey(frame))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return pictures, []
    return pictures, [unescaped(note) for note in notes]


def _grey(frame: Image.Image) -> np.ndarray:
    """8-bit grey on white paper; 16 bits are scaled to their own range."""
    if frame.mode.startswith(("I", "F")):
        values = np.asarray(frame, dtype=np.float64)
        low, high = values.min(), values.max()
        return ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if frame.mode in ("RGBA", "LA", "PA") or "transparency" in frame.info:
        colour = frame.convert("RGBA")
        frame = Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
    return np.asarray(frame.convert("L"))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1").replace("\0", "")
    return value if isinstance(value, str) else ""
