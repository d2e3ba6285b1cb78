"""What an image file may ask of this machine, and how one that asks for more is refused.

Files come from anywhere: cut, damaged, or made to exhaust the memory. Imports nothing of
the package.
"""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MAX_PIXELS = 100_000_000
"""Of one picture. The largest radiographs in the public sets have below 25 million."""

MAX_BYTES = 500_000_000
"""Of one file, or of what it unfolds to: 100 million pixels of 32 bits, and a header."""


class RefusedImage(ValueError):
    """Why a file is refused, in words that quote nothing of its header; the file is named later."""


@contextmanager
def opened_image(path: str | Path, expected: str) -> Iterator[BinaryIO]:
    """Open a file of a sane size; whatever goes wrong in the block becomes one kind of error.

    Warnings of decoders are silenced: what they warn of either raises here, or does not touch the
    picture. Messages of other libraries are not passed on: they may quote names and numbers of
    patients from the header.

    Args:
        path: of the file.
        expected: what it should be, for the message.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a folder, pipe or device; an empty or enormous file; or anything that was
            raised in the block. The message names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_file(Path(path))
            with Path(path).open("rb") as file:
                yield file
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: expected an image file, got nothing there") from None
    except RefusedImage as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise a dozen kinds for damaged files
        raise ValueError(
            f"{path}: expected {expected}, got something else or a damaged one "
            f"({type(error).__name__})"
        ) from None


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise RefusedImage(f"cannot be opened ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise RefusedImage("expected a file, got a folder, pipe or device")
    if not 0 < found.st_size <= MAX_BYTES:
        raise RefusedImage(
            f"expected a file of 1 to {MAX_BYTES} bytes, got {found.st_size}; download it again, "
            "or leave it out"
        )


def check_pixels(width: int, height: int) -> None:
    """Refuse a picture by its declared size, before memory for it is asked for.

    Raises:
        RefusedImage: no pixel, or more than :data:`MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise RefusedImage(
            f"expected 1 to {MAX_PIXELS} pixels, got {width} × {height} declared; leave it out"
        )
