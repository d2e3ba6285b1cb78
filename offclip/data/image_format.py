"""Which format an image file has, by its first bytes and not by its name.

More formats are known than are read, so that what cannot be read is refused under its name and not
taken for a text. Imports nothing of the package.
"""

import re
from pathlib import Path

START = 352
"""Bytes at the beginning of a file by which its format is known."""
_PATTERNS = {
    "DICOM": rb".{128}DICM",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM.{4}\0{4}",
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF.{4}WEBP",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
    "HEIF or AVIF": rb".{4}ftyp(?:heic|heix|mif1|msf1|avif|avis)",
    "PNM": rb"P[1-6]\s+[#0-9]",
    "NIfTI": rb".{344}(?:n\+1|ni1)\0",
    "NRRD": rb"NRRD000",
}
_FORMATS = {name: re.compile(pattern, re.DOTALL) for name, pattern in _PATTERNS.items()}


def format_of(start: bytes) -> str:
    """Name of the format of a file that begins with these bytes; empty for no image."""
    names = (name for name, pattern in _FORMATS.items() if pattern.match(start))
    return next(names, "")


def image_format(path: str | Path) -> str:
    """Name of the format of a file; empty for no image.

    Raises:
        OSError: it cannot be opened.
    """
    with Path(path).open("rb") as file:
        return format_of(file.read(START))
