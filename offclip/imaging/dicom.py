"""Stored values of a DICOM file with one grey image, decoded by pydicom.

What the values mean as grey is in ``offclip.imaging.grey``.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import unpack_from
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    RLELossless,
)

from offclip.imaging.errors import UnreadableImage, check_size
from offclip.imaging.grey import Storage, published_grey, viewer_grey

_PIXELS = (
    "Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated "
    "BitsStored HighBit PixelRepresentation PixelData ExtendedOffsetTable "
    "ExtendedOffsetTableLengths"
).split()
_GREY = (
    "ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence WindowCenter WindowWidth "
    "VOILUTFunction PresentationLUTShape PixelPaddingValue PixelPaddingRangeLimit"
).split()
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR", "PALETTE")
_NO_JPEG_FRAME = (0xC4, 0xC8, 0xCC)  # tables, reserved, arithmetic conditioning


def read_dicom(path: str | Path, scaling: str = "window") -> UInt8[np.ndarray, "height width"]:
    """Read a DICOM radiograph as 8-bit grey.

    Every transfer syntax is read that pydicom has a decoder for, and files without a preamble.
    Missing elements have their usual values: one sample per pixel, MONOCHROME2, unsigned, all
    allocated bits stored.

    Args:
        path: of the file.
        scaling: "window", as a viewer shows it: by the file's first VOI table or window, else from
            the lowest value to the highest, padding black (``viewer_grey``); or "max", as in the
            published evaluation code of OFF-CLIP and CARZero: stored values over their highest,
            neither windowed nor inverted (``published_grey``).

    Raises:
        UnreadableImage: not one grey image of integers, no decoder for its compression, or values
            that make no image.
        Exception: whatever pydicom raises for a damaged file.
    """
    header = read_header(path, [*_PIXELS, *_GREY])
    header.PhotometricInterpretation = _check_grey(header)
    words, storage = _decoded(header)
    return (
        published_grey(words, storage) if scaling == "max" else viewer_grey(words, storage, header)
    )


def read_header(path: str | Path, names: Sequence[str]) -> Dataset:
    """Read the named elements and no others, so that no identifier is kept."""
    tags: list[Any] = list(names)
    pixels = "PixelData" in names
    return dcmread(path, force=True, specific_tags=tags, stop_before_pixels=not pixels)


def whole_number(header: Dataset, name: str, default: int | None = None) -> int:
    """An integer of the header.

    Raises:
        UnreadableImage: it is missing and has no usual value, or is no integer.
    """
    value = header.get(name)
    if value in (None, "") and default is not None:
        return default
    if not isinstance(value, int):
        raise UnreadableImage(f"expected a number as {name}, got none; the file is damaged or cut")
    return int(value)


def _check_grey(header: Dataset) -> str:
    """The photometric interpretation of one grey image of a sane size, by what the header states.

    Raises:
        UnreadableImage: colour, several frames, no pixels or too many.
    """
    check_size(whole_number(header, "Columns"), whole_number(header, "Rows"))
    frames = whole_number(header, "NumberOfFrames", 1) or 1
    channels = whole_number(header, "SamplesPerPixel", 1) or 1
    stated = str(header.get("PhotometricInterpretation") or "MONOCHROME2")
    stated = " ".join(stated.replace("\0", " ").upper().split())
    if stated not in _MONOCHROME or frames != 1 or channels != 1:
        known = stated.startswith(_MONOCHROME + _COLOUR) and len(stated) <= 16
        raise UnreadableImage(
            f"expected one grey image (MONOCHROME1 or 2), got {frames} with {channels} channels "
            f"in {stated if known else 'another interpretation'}; leave it out"
        )
    if not header.get("PixelData"):
        raise UnreadableImage("expected pixels of integers, got none; download it again")
    return stated


def _decoded(header: Dataset) -> tuple[Shaped[np.ndarray, "height width"], Storage]:
    """Words as they are stored, of unsigned integers, and how values lie in them."""
    syntax = header.file_meta.get("TransferSyntaxUID") or _guessed_syntax(header)
    name = str(syntax.name)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnreadableImage(
            "expected a transfer syntax that pydicom reads, got another; convert it to explicit "
            "little endian"
        ) from None
    compressed = syntax.is_encapsulated
    allocated, precision = (_compressed_bits if compressed else _raw_bits)(header, syntax)
    stored = whole_number(header, "BitsStored", 0) or _high_bit(header, allocated) + 1
    stored = min(stored, precision)
    signed = whole_number(header, "PixelRepresentation", 0) == 1
    header.file_meta.TransferSyntaxUID = syntax
    options: dict[str, Any] = {
        "raw": True, "correct_unused_bits": False, "view_only": True, "allow_excess_frames": False,
        "number_of_frames": 1, "samples_per_pixel": 1, "bits_allocated": allocated,
        "bits_stored": precision, "pixel_representation": int(signed),
        "photometric_interpretation": "MONOCHROME2",
    }  # fmt: skip
    hint = f'no decoder for {name} of {precision} bits: pip install "offclip[dicom]"'
    if not decoder.is_available:
        raise UnreadableImage(hint)
    try:
        words, _ = decoder.as_array(header, **options)
    except RuntimeError:  # every plugin refused
        raise UnreadableImage(f"{hint}, or its pixels are damaged") from None
    unsigned = np.dtype(f"u{words.itemsize}")
    words = words.astype(words.dtype.newbyteorder("="), copy=False).view(unsigned)
    storage = Storage(8 * words.itemsize, stored, _high_bit(header, stored), signed)
    return words, storage


def _guessed_syntax(header: Dataset) -> Any:
    """Of a file without meta information, as pydicom has read it."""
    implicit, little = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _high_bit(header: Dataset, stored: int) -> int:
    return whole_number(header, "HighBit", stored - 1)


def _raw_bits(header: Dataset, syntax: Any) -> tuple[int, int]:
    """Bits of a word, twice, after a check of the length; by the length where not stated."""
    pixels, got = header.Rows * header.Columns, len(header.PixelData)
    if header.PixelData[:4] == b"\xfe\xff\x00\xe0":
        raise UnreadableImage("its pixels are compressed, but its transfer syntax denies it")
    allocated = whole_number(header, "BitsAllocated", 0)
    if allocated not in (8, 16, 32) or allocated < whole_number(header, "BitsStored", 1):
        fitting = (bits for bits in (8, 16, 32) if got - pixels * bits // 8 in (0, 1))
        allocated = next(fitting, allocated)
    if allocated not in (8, 16, 32):
        raise UnreadableImage(f"expected 8, 16 or 32 bits per pixel, got {allocated}")
    expected = pixels * allocated // 8
    if not expected <= got <= expected * 5 // 4 + 1:  # some writers pad
        raise UnreadableImage(f"expected {expected} bytes of pixels, got {got}; download it again")
    return allocated, allocated


def _compressed_bits(header: Dataset, syntax: Any) -> tuple[int, int]:
    """Bits of a decoded word and those used, by the codestream, after a check of its size.

    Decoders follow the codestream, not the header: with rows and columns exchanged, or 8 bits in
    place of 16, they would give a scrambled image.
    """
    stream = get_frame(header.PixelData, 0, number_of_frames=1)
    height, width, channels = header.Rows, header.Columns, 1
    if syntax == RLELossless:
        precision = 8 * int.from_bytes(stream[:4], "little")  # one segment for each byte
    elif syntax in JPEG2000TransferSyntaxes:
        precision, height, width, channels = _jpeg_2000_frame(stream)
    else:
        precision, height, width, channels = _jpeg_frame(stream)
    if (height, width, channels) != (header.Rows, header.Columns, 1):
        raise UnreadableImage(
            f"its compressed pixels are {width} × {height} with {channels} channels, its header "
            f"has {header.Columns} × {header.Rows} with 1; leave it out"
        )
    if syntax != RLELossless and b"\xff\xd9" not in stream[-32:]:
        raise UnreadableImage("its compressed pixels are cut; download it again")
    return 8 if precision <= 8 else 16 if precision <= 16 else 32, precision


def _jpeg_frame(stream: bytes) -> tuple[int, int, int, int]:
    """Precision, height, width and channels of JPEG (ISO/IEC 10918-1 B.2) and JPEG-LS."""
    at = 2
    while stream[at : at + 2]:
        marker = stream[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NO_JPEG_FRAME):
            return unpack_from(">BHHB", stream, at + 4)
        at += 1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4])
    raise UnreadableImage("its compressed pixels are damaged: no JPEG frame begins there")


def _jpeg_2000_frame(stream: bytes) -> tuple[int, int, int, int]:
    """The same of a JPEG 2000 codestream (ISO/IEC 15444-1 A.5), bare or in a JP2 file."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(stream) < at + 43:
        raise UnreadableImage("its compressed pixels are damaged: no JPEG 2000 begins there")
    right, bottom, left, top = unpack_from(">4I", stream, at + 8)
    channels, depth = unpack_from(">HB", stream, at + 40)
    return (depth & 0x7F) + 1, bottom - top, right - left, channels
