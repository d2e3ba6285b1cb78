"""The few elements of a DICOM header that bear on its picture, read within limits.

No other element is kept, so no identifier is in memory to be passed on.
"""

import os
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, BinaryIO

from offclip.data.image_limits import MAX_BYTES, RefusedImage

_PIXEL_DATA, _FIRST_PIXEL_ELEMENT = 0x7FE00010, 0x7FE00008
_TOO_LARGE = "its header is far larger than that of any radiograph; leave it out"


class _Deflated(Exception):
    """All that is left of the file is asked for at once: pydicom is about to inflate it."""


class BoundedFile:
    """The part of a file's interface that pydicom reads with, for headers of sane size.

    A header could otherwise list millions of empty items, each an object of a kilobyte, or one
    text of gigabytes. Radiographs have some hundred elements; the longest are lookup tables.
    """

    READS, LENGTH = 20_000, 600_000

    def __init__(self, file: BinaryIO | BytesIO, size: int):
        self._file, self._size, self._reads, self._header = file, size, 0, True

    def header_is_over(self) -> None:
        """From here on any length may be read: pixels come."""
        self._header = False

    def read(self, length: int = -1) -> bytes:
        """Read up to ``length`` bytes.

        Raises:
            RefusedImage: too much, or too often.
        """
        if length < 0:
            raise _Deflated
        self._reads += 1
        length = min(length, max(self._size - self.tell(), 0))  # no room for what is not there
        if self._header and (self._reads > self.READS or length > self.LENGTH):
            raise RefusedImage(_TOO_LARGE)
        return self._file.read(length)

    def seek(self, *where: int) -> int:
        """As of a file."""
        return self._file.seek(*where)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()


def read_header(file: BinaryIO, names: Sequence[str]) -> tuple[BoundedFile, Any]:
    """Read the named elements; the file is left where the pixels begin.

    Args:
        file: an open DICOM file, inside of ``opened_image``.
        names: keywords of the elements.

    Returns:
        The file to read the pixels from, and the elements as a pydicom dataset.

    Raises:
        RefusedImage: a header beyond any radiograph's, or no pydicom to read it with.
        Exception: whatever pydicom raises for a damaged one.
    """
    try:
        from pydicom import dcmread
        from pydicom.datadict import tag_for_keyword
    except ImportError:
        raise RefusedImage(
            'pydicom is needed to read it: pip install "offclip[data,dicom]"'
        ) from None

    tags: list[Any] = [tag_for_keyword(name) for name in names]
    bounded = BoundedFile(file, os.fstat(file.fileno()).st_size)
    try:
        return bounded, dcmread(bounded, stop_before_pixels=True, specific_tags=tags)
    except _Deflated:
        return _read_deflated(file, tags)


def _read_deflated(file: BinaryIO, tags: list[Any]) -> tuple[BoundedFile, Any]:
    """The same for a file whose header and pixels are compressed together (PS3.5 A.5)."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset
    from pydicom.uid import ExplicitVRLittleEndian

    whole = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAX_BYTES + 1)
    if len(whole) > MAX_BYTES:
        raise RefusedImage(f"it unfolds to more than {MAX_BYTES} bytes; leave it out")
    bounded = BoundedFile(BytesIO(whole), len(whole))
    header = read_dataset(
        bounded,  # type: ignore[arg-type]
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, vr, length: tag >= _FIRST_PIXEL_ELEMENT,
        specific_tags=tags,
    )
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return bounded, header


def add_pixels(file: BoundedFile, header: Any) -> None:
    """Read the pixel data that the file has come to into the header; nothing after it.

    Raises:
        RefusedImage: no pixels, or not of integers.
    """
    from pydicom.filereader import read_dataset

    file.header_is_over()
    implicit, little = header.original_encoding
    found = read_dataset(
        file,  # type: ignore[arg-type]
        is_implicit_VR=implicit,
        is_little_endian=little,
        stop_when=lambda tag, vr, length: tag != _PIXEL_DATA,
        specific_tags=[_PIXEL_DATA],
    )
    if _PIXEL_DATA not in found:
        raise RefusedImage("expected pixels of integers, got none or cut ones; download it again")
    header[_PIXEL_DATA] = found.get_item(_PIXEL_DATA)
