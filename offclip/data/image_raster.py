"""PNG and JPEG files, opened with Pillow within limits, and how they are turned upright."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

from PIL import ExifTags, Image

from offclip.data.image_codestream import check_scans
from offclip.data.image_format import START, format_of
from offclip.data.image_limits import MAX_PIXELS, RefusedImage, check_pixels

IMAGE = "a DICOM, PNG or JPEG image"
ON_ITS_SIDE = (5, 6, 7, 8)
"""EXIF orientations in which rows are stored as columns."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def open_picture(file: BinaryIO) -> Iterator[Image.Image]:
    """The picture of an open file, inside of ``opened_image``; no other format is tried.

    Raises:
        RefusedImage: another format, too many pixels are declared, or a JPEG has too many scans.
        Exception: whatever Pillow raises for what is none, or a damaged one.
    """
    data = file.read()
    found = format_of(data[:START])
    if found not in ("PNG", "JPEG", ""):
        raise RefusedImage(f"expected {IMAGE}, got {found}; convert it, without loss")
    try:
        image = Image.open(BytesIO(data), formats=("PNG", "JPEG"))
    except Image.DecompressionBombError:
        raise RefusedImage(
            f"expected up to {MAX_PIXELS} pixels, got far more; leave it out"
        ) from None
    with image:
        check_pixels(*image.size)
        if image.format != "PNG":
            check_scans(data)
        yield image


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8, of an image that is not decoded yet.

    Of a PNG, what stands before its pixels: Pillow's own method would decode them to look behind.
    """
    found = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return found if found in _UPRIGHT else 1


def upright(image: Image.Image) -> Image.Image:
    """The image as :func:`orientation_of` says that it is to be shown."""
    orientation = orientation_of(image)
    return image if orientation == 1 else image.transpose(_UPRIGHT[orientation])
