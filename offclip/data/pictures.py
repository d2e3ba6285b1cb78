"""From an image file to the square grey picture that a model takes."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBA", "LA")


def read_picture(path: str | Path, size: int) -> UInt8[np.ndarray, "size size"]:
    """Read an 8-bit image as grey, padded with black to a square and averaged down to ``size``.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: not an image, a damaged or enormous one, or one with more than 8 bits; the
            message names the file.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in _EIGHT_BIT:
                raise ValueError(
                    f"{path}: expected 8 bits a pixel, got mode {image.mode}; window it to 8 bits "
                    "first, as a viewer does"
                )
            grey = image.convert("L")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: expected an image file, got nothing there") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path}: expected a PNG or JPEG image, got something else or a damaged one ({error})"
        ) from error
    return np.asarray(ImageOps.pad(grey, (size, size), method=Image.Resampling.BOX, color=0))
