"""PNG, JPEG, TIFF and others by Pillow.

Pillow cuts 16-bit colour and grey with alpha to the upper 8 bits; OpenCV decodes those.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from offclip.imaging.errors import UnreadableImage, check_size
from offclip.imaging.levels import look_up

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_DEPTHS = (8, 10, 12, 14, 16)
_OUTLIERS = 0.01  # of the pixels may be above the used bits
_LUMA = (0.299, 0.587, 0.114)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_raster(path: str | Path, bits: int | None) -> UInt8[np.ndarray, "height width"]:
    """Grey of a raster file; see :func:`offclip.imaging.read_radiograph`."""
    with open_raster(path) as image:
        turn = _UPRIGHT.get(orientation_of(image))
        grey = _grey(image, path, bits)
    return grey if turn is None else np.asarray(Image.fromarray(grey).transpose(turn))


def _grey(image: Any, path: str | Path, bits: int | None) -> np.ndarray:
    """8-bit grey as stored, of an open file."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
    elif ";16" in str(image.tile):
        values = _deep_colour(path)
    elif image.mode in _EIGHT_BITS:
        return np.asarray(image.convert("L"))
    else:
        raise UnreadableImage(f"expected grey, RGB or a palette, got {image.mode} pixels")
    if image.format in ("PPM", "JPEG2000"):
        bits = 16  # Pillow has scaled them to that
    grey = _eight_bits(values, bits)
    if image.format == "TIFF" and image.tag_v2.get(262) == 0:
        return 255 - grey  # white is zero, which Pillow heeds in 8 bits only
    return grey


@contextmanager
def open_raster(path: str | Path) -> Iterator[Image.Image]:
    """One image of sane size whose pixels are not decoded yet.

    Raises:
        UnreadableImage: too many pixels, several images in one file, or a TIFF on its side.
    """
    with Image.open(path, formats=FORMATS) as image:
        check_size(*image.size)
        pages = getattr(image, "n_frames", 1)
        if pages > 1 and image.format != "MPO":  # a camera's JPEG and its previews
            raise UnreadableImage(f"expected one image, got {pages} in one file; split it")
        if image.format == "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            raise UnreadableImage("expected an upright TIFF; rotate its pixels")
        yield image


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8, of an image that is not decoded yet.

    Of a PNG, what stands before its pixels: Pillow's own method would decode them to look behind.
    """
    orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return orientation if orientation in _UPRIGHT else 1


def _deep_colour(path: str | Path) -> np.ndarray:
    """Luma of 16-bit colour, or grey without its alpha, as stored."""
    import cv2

    data = np.fromfile(path, np.uint8)
    colours = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if colours is None or colours.dtype != np.uint16 or colours.ndim != 3:
        raise UnreadableImage("its 16-bit colours cannot be decoded; convert it to 16-bit grey")
    return np.rint(colours[..., 2::-1] @ np.array(_LUMA, np.float32)).astype(np.uint16)


def _eight_bits(values: np.ndarray, bits: int | None) -> np.ndarray:
    """8-bit grey of 16-bit values, white at the highest value of the used bits."""
    if values.min() < 0 or values.max() >= 2**16:
        raise UnreadableImage(
            f"expected values of 0 to 65535, got {values.min()} to {values.max()}; scale them"
        )

    def holds(depth: int) -> bool:
        return bool(np.count_nonzero(values >= 2**depth) <= _OUTLIERS * values.size)

    depth = bits or next(filter(holds, _DEPTHS))
    if not holds(depth):
        raise UnreadableImage(f"expected values of {depth} bits, got up to {values.max()}")
    grey = np.rint(np.arange(2**16) * (255 / (2**depth - 1))).clip(0, 255).astype(np.uint8)
    return look_up(grey, values)
