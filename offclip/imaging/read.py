"""From any image file to 8-bit grey."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from offclip.imaging.errors import named_errors

_BARE_DICOM = re.compile(rb"[\x02\x08]\0.\0(?:[A-Z]{2}|..\0\0)", re.DOTALL)
"""First element of a DICOM file without a preamble: group 2 or 8, in little endian."""


def read_radiograph(
    path: str | Path, *, bits: int | None = None, dicom_scaling: str = "window"
) -> UInt8[np.ndarray, "height width"]:
    """Read a radiograph as a viewer shows it: 8-bit grey, upright, at its own size.

    The content decides which format a file has, not its name. DICOM: see
    :func:`offclip.imaging.dicom.read_dicom`. PNG, JPEG, TIFF and others that Pillow reads: colours
    and palettes become grey, transparency is ignored, and the image is turned as its EXIF
    orientation states (boxes turn with it by :func:`offclip.imaging.boxes.upright_boxes`).

    In 16-bit PNG and TIFF files, white is the highest value of the bits that are used: scanners'
    values of 10, 12 or 14 bits are often copied as they are. The depth is the smallest of 8, 10,
    12, 14 and 16 bits that holds at least 99 % of the pixels, so that a hot pixel or a small marker
    does not darken the image; brighter pixels are white.

    Args:
        path: of the file.
        bits: used bits of a 16-bit raster file, from 1 to 16, where they are known.
        dicom_scaling: "window", or "max" for the scaling of the published evaluation code.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: not an image, a damaged or an enormous one, or pixels that have no one right
            grey; one line that names the file and the cause.
    """
    if bits is not None and bits not in range(1, 17):
        raise ValueError(f"bits: expected a whole number from 1 to 16, got {bits!r}")
    if dicom_scaling not in ("window", "max"):
        raise ValueError(f"dicom_scaling: expected window or max, got {dicom_scaling!r}")
    with named_errors(path):
        if is_dicom(path):
            from offclip.imaging.dicom import read_dicom

            return read_dicom(path, dicom_scaling)
        from offclip.imaging.raster import read_raster

        return read_raster(path, bits)


def is_dicom(path: str | Path) -> bool:
    """Whether a file is DICOM by its first bytes, with or without a preamble.

    Raises:
        OSError: it cannot be opened.
    """
    with Path(path).open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or bool(_BARE_DICOM.match(start))


def is_image(path: str | Path) -> bool:
    """Whether a file has a format that :func:`read_radiograph` reads, by its content.

    Raises:
        OSError: it cannot be opened.
    """
    if is_dicom(path):
        return True
    from PIL import Image

    from offclip.imaging.raster import FORMATS

    try:
        with named_errors(path), Image.open(path, formats=FORMATS):
            return True
    except ValueError:
        return False
