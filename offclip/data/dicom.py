"""Radiographs as DICOM files: one grey picture, checked before it is decoded.

What the decoded values mean is in ``offclip.data.image_grey``.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Shaped, UInt8

from offclip.data.image_codestream import check_runs, check_scans, codestream_shape
from offclip.data.image_format import START, format_of
from offclip.data.image_grey import max_grey, window_grey
from offclip.data.image_header import add_pixels, read_header
from offclip.data.image_limits import RefusedImage, check_pixels, opened_image

_ELEMENTS = (
    "Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated "
    "BitsStored PixelRepresentation ModalityLUTSequence RescaleSlope RescaleIntercept "
    "VOILUTSequence WindowCenter WindowWidth VOILUTFunction PresentationLUTShape "
    "PixelPaddingValue PixelPaddingRangeLimit"
).split()
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("PALETTE COLOR", "RGB", "YBR")


def is_dicom(path: str | Path) -> bool:
    """Whether a file says that it is DICOM: four letters after a preamble of 128 bytes."""
    try:
        with opened_image(path, "a file") as file:
            return _has_magic(file)
    except (OSError, ValueError):
        return False


def _has_magic(file: BinaryIO) -> bool:
    start = file.read(START)
    file.seek(0)
    return format_of(start) == "DICOM"


def read_dicom(path: str | Path, *, scaling: str = "window") -> UInt8[np.ndarray, "height width"]:
    """The picture of a DICOM file in 8 bits.

    Every transfer syntax is read for which pydicom has a decoder, pylibjpeg's among them. Files
    without the preamble of DICOM's Part 10 are refused: their encoding could only be guessed.

    Args:
        path: of the file.
        scaling: "window", as a viewer shows it, see :func:`offclip.data.image_grey.window_grey`;
            or "max", as the published evaluation code of OFF-CLIP and CARZero has it, see
            :func:`offclip.data.image_grey.max_grey`.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: an unknown scaling; not one grey picture, a compression without decoder, values
            that make no picture, more than ``MAX_PIXELS``, or a damaged file. The message names
            the file and quotes no text of its header.
    """
    if scaling not in ("window", "max"):
        raise ValueError(f"scaling: expected window or max, got {scaling!r}")
    with opened_image(path, "a DICOM file") as file:
        if not _has_magic(file):
            raise RefusedImage("expected DICM after 128 bytes, as in every DICOM file; got another")
        bounded, header = read_header(file, _ELEMENTS)
        _check_kind(header)
        add_pixels(bounded, header)
        pixels = _decoded(header)
        return max_grey(pixels) if scaling == "max" else window_grey(pixels, header)


def _check_kind(header: Any) -> None:
    """One grey picture of integers, by what the header says."""
    rows, columns = number(header, "Rows"), number(header, "Columns")
    kind, channels = str(header.get("PhotometricInterpretation")), header.get("SamplesPerPixel")
    frames = 1 if header.get("NumberOfFrames") is None else number(header, "NumberOfFrames")
    if kind not in _GREY or frames != 1 or channels != 1:
        known = kind.startswith(_GREY + _COLOUR) and len(kind) <= 16
        raise RefusedImage(
            f"expected one grey picture (MONOCHROME1 or 2), got {frames} with "
            f"{channels if isinstance(channels, int) else 'unknown'} channels in "
            f"{kind if known else 'another interpretation'}; leave it out"
        )
    check_pixels(columns, rows)
    if number(header, "BitsAllocated") not in (8, 16, 32):
        raise RefusedImage(f"expected 8, 16 or 32 bits a pixel, got {header.BitsAllocated}")


def number(header: Any, name: str) -> int:
    """A whole number of the header; refused where it is none."""
    value = header.get(name)
    if not isinstance(value, int):
        raise RefusedImage(f"expected a number as {name}, got none; its header is damaged")
    return value


def _decoded(header: Any) -> Shaped[np.ndarray, "height width"]:
    """The stored values; bits beyond ``BitsStored`` are dropped by pydicom."""
    from pydicom.pixels import get_decoder

    syntax = header.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise RefusedImage(
            "expected a transfer syntax that pydicom reads, got another; convert it to explicit "
            "little endian"
        ) from None
    if not decoder.is_available:
        raise RefusedImage(
            f'no decoder for {syntax.name} is installed: pip install "offclip[dicom]"'
        )
    _check_length(header, syntax)
    only: Any = {"raw": True, "allow_excess_frames": False}
    pixels, _ = decoder.as_array(header, **only)
    if pixels.shape != (header.Rows, header.Columns):
        raise RefusedImage(f"its pixels are of shape {pixels.shape}, not as its header says")
    return pixels


def _check_length(header: Any, syntax: Any) -> None:
    """Pixels of the size that the header says, by their own account, before room is made for them.

    What is not encapsulated is as it is: bytes of the picture.
    """
    from pydicom.encaps import get_frame
    from pydicom.uid import RLELossless

    rows, columns, bytes_each = header.Rows, header.Columns, header.BitsAllocated // 8
    if not syntax.is_encapsulated:
        expected, got = rows * columns * bytes_each, len(header.PixelData)
        if got < expected:
            raise RefusedImage(f"expected {expected} bytes of pixels, got {got}; download it again")
        return
    stream = get_frame(header.PixelData, 0, number_of_frames=1)
    if syntax == RLELossless:
        check_runs(stream, rows * columns, bytes_each)
        return
    check_scans(stream)
    if codestream_shape(stream) != (columns, rows, 1):
        raise RefusedImage("its compressed pixels are of another size than its header says")
