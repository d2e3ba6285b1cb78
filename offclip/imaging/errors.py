"""One line for whatever is wrong with an image file."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_PIXELS = 100_000_000
"""Of one image. The largest radiographs in the public sets have below 25 million."""


class UnreadableImage(ValueError):
    """Why an image cannot be read; the file is named by :func:`named_errors`."""


@contextmanager
def named_errors(path: str | Path) -> Iterator[None]:
    """Turn any error of the block into one line that names the file.

    Messages of other libraries are not passed on: they may quote a patient's name or number from
    the header. Their warnings are silenced: what matters of them is checked here.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: expected an image file, got nothing there") from None
    except UnreadableImage as error:
        raise ValueError(f"{path}: {error}") from None
    except ImportError as error:
        raise ValueError(
            f'{path}: {error.name} is needed to read it: pip install "offclip[data,dicom]"'
        ) from None
    except Exception as error:
        raise ValueError(
            f"{path}: expected a DICOM, PNG or JPEG image, got something else or a damaged file "
            f"({type(error).__name__})"
        ) from None


def check_size(width: int, height: int) -> None:
    """Refuse an image by the size that its header states, before memory is allocated.

    Raises:
        UnreadableImage: no pixel, or more than :data:`MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"expected 1 to {MAX_PIXELS} pixels, got {width} × {height}; leave it out"
        )
