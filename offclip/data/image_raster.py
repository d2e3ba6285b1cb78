"""PNG and JPEG files, opened with Pillow within limits; nothing is decoded yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from offclip.data.image_codestream import check_scans
from offclip.data.image_limits import MAX_PIXELS, RefusedImage, check_pixels

IMAGE = "a DICOM, PNG or JPEG image"


@contextmanager
def open_picture(file: BinaryIO) -> Iterator[Image.Image]:
    """The picture of an open file, inside of ``opened_image``; no other format is tried.

    Raises:
        RefusedImage: too many pixels are declared, or a JPEG has too many scans.
        Exception: whatever Pillow raises for what is none, or a damaged one.
    """
    data = file.read()
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
