"""The size that compressed pixels have by their own account: decoders believe it, not the header.

JPEG (ISO/IEC 10918-1 B.2), JPEG-LS (14495-1 C.2) and JPEG 2000 (15444-1 A.5) codestreams, and runs
(PS3.5 annex G).
"""

from struct import unpack_from

from offclip.data.image_limits import RefusedImage

MAX_SCANS = 200
"""Of one JPEG. Each goes over the whole picture; a progressive one of a camera has about ten."""

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_START_OF_SCAN = b"\xff\xda"
_TILE, _TILE_DATA = 0x90, 0x93
_CODING = {0x52: (4, 14), 0x53: (5, 11)}  # COD, COC (of up to 256 channels): style, precincts
_SMALLEST_PRECINCT = 5  # a power of two
_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"


def check_scans(data: bytes) -> None:
    """Refuse a JPEG that would be decoded over and over.

    Raises:
        RefusedImage: more than :data:`MAX_SCANS`.
    """
    scans = data.count(_START_OF_SCAN)
    if scans > MAX_SCANS:
        raise RefusedImage(f"expected a JPEG of up to {MAX_SCANS} scans, got {scans}; leave it out")


def codestream_shape(data: bytes) -> tuple[int, int, int]:
    """Width, height and channels that a JPEG, JPEG-LS or JPEG 2000 codestream declares.

    Raises:
        RefusedImage: no such codestream.
    """
    if data.startswith(_JPEG):
        return _jpeg_shape(data)
    start = data.find(_JPEG_2000, 0, 1000)  # bare, or after the boxes of a JP2 file
    if start < 0 or len(data) < start + 42:
        raise RefusedImage("its compressed pixels are damaged: no JPEG begins there")
    _check_precincts(data, start + 2)
    right, bottom, left, top = unpack_from(">4I", data, start + 8)
    return right - left, bottom - top, int.from_bytes(data[start + 40 : start + 42])


def _check_precincts(data: bytes, at: int) -> None:
    """Refuse precincts of a few pixels: half a kilobyte each when decoded, gigabytes in all."""
    next_tile = 0
    while at + 14 <= len(data) and data[at] == 0xFF:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == _TILE:
            next_tile = at + int.from_bytes(data[at + 6 : at + 10])
        elif marker == _TILE_DATA and next_tile > at:
            end = next_tile
        elif marker == _TILE_DATA:
            return  # the last one, which may say 0
        elif marker in _CODING:
            style, sizes = _CODING[marker]
            sides = data[at + sizes : end] if data[at + style] & 1 else b""
            if any(min(each >> 4, each & 15) < _SMALLEST_PRECINCT for each in sides):
                raise RefusedImage("its JPEG 2000 precincts are far smaller than any encoder's")
        at = end


def _jpeg_shape(data: bytes) -> tuple[int, int, int]:
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[at + k : at + k + 2]) for k in (5, 7))
            return width, height, data[at + 9]
        # a filled-up marker is one byte on; others say their length
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    raise RefusedImage("its compressed pixels are damaged: no JPEG frame begins there")


def check_runs(data: bytes, pixels: int, bytes_each: int) -> None:
    """Refuse run-length encoded pixels that do not unfold to what the header says.

    Each byte of a pixel has a segment of its own. (pylibjpeg's decoder panics at segments that are
    too long, and pydicom's own unfolds whatever comes.)

    Raises:
        RefusedImage: another number of segments, or one of another length.
    """
    if len(data) < 64:
        raise RefusedImage("its compressed pixels are damaged: no runs begin there")
    count, *starts = unpack_from("<16I", data)
    ends = [*starts[1:count], len(data)]
    if count != bytes_each or any(
        _unfolded(data, start, end, pixels) != pixels
        for start, end in zip(starts[:count], ends, strict=True)
    ):
        raise RefusedImage("its compressed pixels are damaged: their runs have another length")


def _unfolded(data: bytes, start: int, end: int, enough: int) -> int:
    """Bytes that a segment of runs unfolds to; it is padded by up to one byte."""
    if not 64 <= start <= end <= len(data):
        return -1
    at, total = start, 0
    while at < end and total < enough:
        first = data[at]
        total += first + 1 if first < 128 else 257 - first if first > 128 else 0
        at += first + 2 if first < 128 else 2 if first > 128 else 1
    return total if end - 1 <= at <= end else -1
