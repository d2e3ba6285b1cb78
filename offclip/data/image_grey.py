"""From the stored values of a DICOM picture to 8-bit grey (PS3.3 C.11 and C.7.6.3.1.2).

Modality table or slope → VOI table or window → inversion → 8 bits. pydicom has these steps one by
one, and is the oracle of the tests. Here they are one function of a value, worked out once for each
of the 65,536 values that 16 bits can hold and looked up for every pixel; tables may have any number
of bits and entries (pydicom's indices are as narrow as the table's entries and wrap around).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from scipy.special import expit

from offclip.data.image_limits import RefusedImage

_Values = Callable[[np.ndarray], np.ndarray]  # of float64, any shape, each on its own


def window_grey(
    pixels: Shaped[np.ndarray, "height width"], header: Any
) -> UInt8[np.ndarray, "height width"]:
    """Grey as a viewer shows it.

    What is black and what is white is the file's own choice: the ends of its first VOI table, else
    of its first window. So a bright marker outside of the window does not dim the lungs, and two
    pictures in the same window can be compared. Only where a file has neither, the lowest value of
    the picture is black and the highest white; a picture of one value is black then.

    Pixels of the padding value are black and do not count as lowest or highest. The picture is
    inverted where low values are bright: in MONOCHROME1, or where the presentation LUT shape is
    INVERSE. Both together mean one inversion (C.8.11.3 demands the second of the first).

    Args:
        pixels: as stored.
        header: elements of the file, a pydicom dataset.

    Raises:
        RefusedImage: a number that is none or not finite, an unknown window function, a window of
            no width, a table of no sense; or a window in which the whole picture is one grey.
    """
    padding, modality = _padding(header, pixels.dtype), _modality(header)
    voi = windowed = _voi(header)
    if voi is None:
        low, high = _ends(pixels, padding, modality)
        if low == high:
            return np.zeros(pixels.shape, np.uint8)
        voi = _scale(low, high)
    inverted = header.PhotometricInterpretation == "MONOCHROME1" or (
        str(header.get("PresentationLUTShape")).strip() == "INVERSE"
    )

    def grey(values: np.ndarray) -> np.ndarray:
        scaled = modality(values.astype(np.float64))
        if not np.isfinite(scaled).all():
            raise RefusedImage("its values are not finite when they are rescaled")
        shown = np.clip(voi(scaled), 0, 1)
        shown = np.rint(255 * (1 - shown if inverted else shown)).astype(np.uint8)
        shown[_within(values, padding)] = 0
        return shown

    shown = _each(pixels, grey)
    if windowed and shown.min() == shown.max() and pixels.min() < pixels.max():
        raise RefusedImage("its window shows one even grey, though its pixels differ; leave it out")
    return shown


def max_grey(pixels: Shaped[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Grey as the published evaluation code makes it: stored values over their highest.

    Negative values are black, fractions are cut off. It knows no table, no window and no inversion:
    a MONOCHROME1 radiograph stays a negative, with dark bones, and one pixel that is brighter
    than the rest darkens them all. A picture without positive values is black (published: NaN).
    """
    highest = max(int(pixels.max()), 1)

    def grey(values: np.ndarray) -> np.ndarray:
        return (np.clip(values.astype(np.float64) / highest, 0, 1) * 255).astype(np.uint8)

    return _each(pixels, grey)


def _each(pixels: np.ndarray, grey: _Values) -> np.ndarray:
    """``grey`` of every pixel, line by line, so that memory stays near that of the pictures."""
    if pixels.itemsize <= 2:
        # as many as the type can hold, the negative ones last: where their index finds them
        every = np.arange(256**pixels.itemsize).astype(pixels.dtype.newbyteorder("="))
        grey = grey(every).__getitem__
    shown = np.empty(pixels.shape, np.uint8)
    for line, values in zip(shown, pixels, strict=True):
        line[:] = grey(values)
    return shown


def _modality(header: Any) -> _Values:
    """Stored values to those of the scanner's scale; a table comes before a slope."""
    if header.get("ModalityLUTSequence"):
        first, entries = _table(header, header.ModalityLUTSequence[0])
        return lambda values: entries[_positions(values, first, len(entries))]
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope == 0:
        raise RefusedImage("expected a RescaleSlope other than 0")
    return _line(1.0 if slope is None else slope, intercept or 0.0)


def _line(slope: float, intercept: float) -> _Values:
    return lambda values: values * slope + intercept


def _voi(header: Any) -> _Values | None:
    """Values of interest to fractions of white (beyond 0 and 1 outside of a window), if any."""
    if header.get("VOILUTSequence"):
        first, entries = _table(header, header.VOILUTSequence[0])
        # its own ends: descriptors promise 16 bits of tables that use 12
        fractions = _scale(entries.min(), entries.max())(entries)
        return lambda values: fractions[_positions(values, first, len(entries))]
    center, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if center is None or width is None:
        return None
    return _window(center, width, str(header.get("VOILUTFunction") or "LINEAR").strip().upper())


def _window(center: float, width: float, function: str) -> _Values:
    """C.11.2.1.2 and C.11.2.1.3; LINEAR is of whole numbers, both ends inside."""
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise RefusedImage("expected the window function LINEAR, LINEAR_EXACT or SIGMOID")
    if width <= 0 or (width < 1 and function == "LINEAR"):
        raise RefusedImage(
            f"expected a window width of 1 or more (above 0 if not LINEAR), got {width}"
        )
    if function == "SIGMOID":
        return lambda values: expit(4 * (values - center) / width)
    low, high = center - width / 2, center + width / 2
    return _scale(low, high - 1) if function == "LINEAR" else _scale(low, high)


def _scale(low: float, high: float) -> _Values:
    """The line that is 0 at ``low`` and 1 at ``high``; a step where these are the same."""
    if low == high:
        return lambda values: (values > low).astype(np.float64)
    return lambda values: (values - low) / (high - low)


def _ends(
    pixels: np.ndarray, padding: tuple[int, int] | None, modality: _Values
) -> tuple[float, float]:
    """The lowest and highest value, without padding, after the modality's step."""
    kept = ~_within(pixels, padding)
    low = int(pixels.min(where=kept, initial=pixels.max()))
    high = int(pixels.max(where=kept, initial=pixels.min()))
    if low >= high:
        return 0.0, 0.0
    values = np.arange(low, high + 1) if high - low < 2**16 else np.array([low, high])
    scaled = modality(values.astype(np.float64))
    return float(scaled.min()), float(scaled.max())


def _padding(header: Any, dtype: np.dtype) -> tuple[int, int] | None:
    """Ends of the range of stored values that fill what was not exposed (C.7.5.1.1.2)."""
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = header.get("PixelPaddingRangeLimit")
    ends = [value, limit if isinstance(limit, int) else value]
    low, high = sorted(np.array(ends).astype(dtype).tolist())  # of signed pixels, too
    return low, high


def _within(values: np.ndarray, ends: tuple[int, int] | None) -> np.ndarray:
    if ends is None:
        return np.zeros(values.shape, bool)
    return (values >= ends[0]) & (values <= ends[1])


def _table(header: Any, item: Any) -> tuple[int, np.ndarray]:
    """First value that a lookup table maps, and its entries (C.11.1.1)."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count, data = count or 2**16, item.LUTData
    if isinstance(data, bytes):  # as OW: words, or bytes where an entry has 8 bits
        order = "<" if header.original_encoding[1] else ">"
        narrow = bits == 8 and len(data) - count in (0, 1)
        data = np.frombuffer(data, "u1" if narrow else f"{order}u2")
    entries = np.atleast_1d(np.asarray(data, np.float64))[:count]
    if len(entries) < count or not 1 <= bits <= 16:
        raise RefusedImage(
            f"expected a lookup table of {count} entries with up to 16 bits, got {len(entries)} "
            f"with {bits}"
        )
    return first, entries


def _positions(values: np.ndarray, first: int, count: int) -> np.ndarray:
    return np.clip(np.rint(values) - first, 0, count - 1).astype(np.intp)


def _number(header: Any, name: str) -> float | None:
    """A number of the header, the first of several, if it has one."""
    value = header.get(name)
    if value is not None and not isinstance(value, (str, float, int)):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return None
    if not np.isfinite(float(value)):
        raise RefusedImage(f"expected a finite number as {name}, got {float(value)}")
    return float(value)
