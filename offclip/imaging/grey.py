"""From stored DICOM values to 8-bit grey (PS3.3 C.11 and C.7.6.3.1.2).

Modality table or slope → VOI table or window → inversion → 8 bits, worked out once for each value
that occurs.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from offclip.imaging.errors import UnreadableImage
from offclip.imaging.levels import Levels, inner_range, map_levels

_LEAST = 1 / 16  # of the grey scale that all but the outliers must span


class Storage(NamedTuple):
    """How values lie in the words of a file, by its header: numbers of bits."""

    word: int
    bits: int
    high_bit: int
    signed: bool


def viewer_grey(
    words: Shaped[np.ndarray, "height width"], storage: Storage, header: Dataset
) -> UInt8[np.ndarray, "height width"]:
    """Grey as a viewer shows it.

    The file states what is black and what is white: the ends of its first VOI table, else of its
    first window (of a positive width). So a bright marker outside of the window does not dim the
    lungs, and two images in the same window can be compared. Only where a file has neither, the
    lowest value of the image is black and the highest white, outliers aside where they would leave
    less than a sixteenth of the scale to all others. An image of one value is black then.

    Pixels of the padding value are black and do not count as lowest or highest. The image is
    inverted where low values are bright: in MONOCHROME1, or where the presentation LUT shape is
    INVERSE. Both together mean one inversion (C.8.11.3 demands the second of the first).

    Args:
        words: as stored, unsigned.
        storage: how values lie in them.
        header: elements of the file.

    Raises:
        UnreadableImage: a number that is not finite, an unknown window function, a damaged table;
            or a window that shows nearly one even grey.
    """

    def grey(levels: Levels, counts: Levels) -> Levels:
        padding = _padding(levels, storage, header)
        values = stored_values(levels, words, storage, ~padding)
        padding |= _padding(values, storage, header)
        kept = padding if padding.all() else ~padding
        scaled = _modality(values, header)
        shown = _voi(scaled, header)
        if shown is None and np.ptp(scaled[kept]) == 0:
            return np.zeros(len(levels))
        if shown is None:
            low, high = _ends(scaled[kept], counts[kept])
            shown = np.clip((scaled - low) / (high - low), 0, 1)
        else:
            _check_contrast(shown[kept], scaled[kept], counts[kept])
        shape = str(header.get("PresentationLUTShape") or "").strip().upper()
        inverted = header.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"
        return np.where(padding, 0, np.rint(255 * (1 - shown if inverted else shown)))

    return map_levels(words, grey)


def published_grey(
    words: Shaped[np.ndarray, "height width"], storage: Storage
) -> UInt8[np.ndarray, "height width"]:
    """Grey as the published evaluation code makes it: stored values over their highest.

    Negative values are black, fractions are cut off. It knows no table, no window and no inversion:
    a MONOCHROME1 radiograph stays a negative, with dark bones, and one pixel that is brighter
    than the rest darkens them all. An image without positive values is black (published: NaN).
    """

    def grey(levels: Levels, counts: Levels) -> Levels:
        values = stored_values(levels, words, storage)
        return np.clip(values / max(values.max(), 1), 0, 1) * 255

    return map_levels(words, grey)


def stored_values(
    levels: Levels, words: np.ndarray, storage: Storage, counted: np.ndarray | slice = slice(None)
) -> Levels:
    """Values of the words that occur.

    Bits above those stored hold the sign, an overlay, or nothing, and are dropped. Where the header
    has values in the upper bits of a word, they are shifted down if any word has bits there. Where
    the image is smoother with all its bits, ``BitsStored`` is wrong and they are kept.

    Args:
        levels: words that occur.
        words: of the image.
        storage: by the header.
        counted: which levels are of the image, and not padding.
    """
    word, bits, high_bit, signed = storage
    whole, plain = _integers(levels, word, signed), _integers(levels, bits, signed)
    used = levels[counted]
    if not len(used) or used.max() < 2**bits or (whole == plain)[counted].all():
        return plain
    if high_bit >= bits:
        return _integers(levels >> (min(high_bit, word - 1) + 1 - bits), bits, signed)
    rows = words[:: 1 + len(words) // 300]
    rough = [np.abs(np.diff(_integers(rows, each, signed))).sum() for each in (bits, word)]
    return plain if rough[0] <= rough[1] else whole


def _integers(words: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    """The lowest bits as integers."""
    values = words.astype(np.int64) & (2**bits - 1)
    return values - (values >> (bits - 1) << bits) if signed else values


def _padding(values: Levels, storage: Storage, header: Dataset) -> np.ndarray:
    """Which values fill what was not exposed (C.7.5.1.1.2), with or without their sign."""
    value, limit = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return np.zeros(len(values), bool)
    ends = np.array([value, limit if isinstance(limit, int) else value])
    low, high = sorted(_integers(ends, storage.word, storage.signed))
    values = _integers(values, storage.word, storage.signed)
    return (values >= low) & (values <= high)


def _modality(values: Levels, header: Dataset) -> Levels:
    """Stored values to those of the scanner's scale; a table comes before a slope."""
    table = _first_table(header, "ModalityLUTSequence")
    if table is not None:
        return _looked_up(values, *table)
    slope, intercept = _numbers(header, "RescaleSlope"), _numbers(header, "RescaleIntercept")
    if slope[:1] == [0]:
        raise UnreadableImage("expected a RescaleSlope other than 0")
    scaled = values * [*slope, 1.0][0] + [*intercept, 0.0][0]
    if not np.isfinite(scaled).all():
        raise UnreadableImage("its values are not finite when they are rescaled")
    return scaled


def _voi(values: Levels, header: Dataset) -> Levels | None:
    """Values of interest to fractions of white, by the first table or window that is of use."""
    table = _first_table(header, "VOILUTSequence")
    if table is not None:
        first, entries = table
        # its own ends: descriptors promise 16 bits of tables that use 12
        return _looked_up(values, first, (entries - entries.min()) / max(np.ptp(entries), 1))
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    windows = zip(_numbers(header, "WindowCenter"), _numbers(header, "WindowWidth"), strict=False)
    usable = [each for each in windows if each[1] >= 1 or (each[1] > 0 and function != "LINEAR")]
    if not usable:
        return None
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise UnreadableImage("expected the window function LINEAR, LINEAR_EXACT or SIGMOID")
    window = Dataset()  # of 8 bits, so that pydicom's output range is theirs
    window.PhotometricInterpretation, window.BitsStored = "MONOCHROME2", 8
    window.PixelRepresentation, window.VOILUTFunction = 0, function
    window.WindowCenter, window.WindowWidth = usable[0]
    with np.errstate(over="ignore"):
        return np.clip(apply_windowing(values, window) / 255, 0, 1)


def _ends(values: Levels, counts: Levels) -> tuple[float, float]:
    """The lowest and the highest value, unless outliers would take nearly all of the scale."""
    low, high = inner_range(values, counts)
    if 0 < high - low < np.ptp(values) * _LEAST:
        return low, high
    return float(values.min()), float(values.max())


def _check_contrast(shown: Levels, values: Levels, counts: Levels) -> None:
    """Refuse a window in other units than the values, which would be black or washed out.

    Raises:
        UnreadableImage: an even grey, or nearly so.
    """
    even = np.ptp(shown) == 0 and np.ptp(values) > 0
    differ = np.ptp(inner_range(values, counts)) > 0
    if even or (differ and np.ptp(inner_range(shown, counts)) < _LEAST):
        raise UnreadableImage(
            "its window shows nearly one even grey, though its pixels differ; leave it out"
        )


def _first_table(header: Dataset, name: str) -> tuple[int, np.ndarray] | None:
    """First value that a lookup table maps, and its entries (C.11.1.1); of the first not empty."""
    for item in header.get(name) or ():
        descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
        if descriptor and data not in (None, b""):
            count, first, bits = (int(number) for number in descriptor)
            big = header.original_encoding[1] is False
            return first, _entries(data, count or 2**16, bits, big).astype(np.float64)
    return None


def _entries(data: Any, count: int, bits: int, big: bool) -> np.ndarray:
    """Entries of a table: words, or two bytes in a word where an entry has up to 8 bits."""
    if isinstance(data, bytes):
        words = np.frombuffer(data + bytes(len(data) % 2), ">u2" if big else "<u2")
    else:
        words = np.atleast_1d(np.asarray(data)).astype(np.int64).astype(np.uint16)
    if bits <= 8 and len(words) == (count + 1) // 2 and count > 1:
        words = words.astype("<u2").view(np.uint8)
    if len(words) < count:
        raise UnreadableImage(
            f"expected a lookup table of {count} entries, got {len(words)} of {bits} bits"
        )
    return words[:count]


def _looked_up(values: Levels, first: int, entries: np.ndarray) -> Levels:
    """Entries for values; US or SS, ``first`` is read with the sign with which it meets them."""
    low, high = float(values.min()), float(values.max())

    def overlap(start: int) -> float:
        return float(min(high, start + len(entries) - 1) - max(low, start))

    first = max((first, first - 2**16, first + 2**16), key=overlap)
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.intp)]


def _numbers(header: Dataset, name: str) -> list[float]:
    """Numbers of an element, none where it is empty."""
    value = header.get(name)
    if value is None or value == "":
        return []
    numbers = [float(each) for each in ([value] if isinstance(value, (str, float, int)) else value)]
    if not np.isfinite(numbers).all():
        raise UnreadableImage(f"expected a finite number as {name}, got {numbers[0]}")
    return numbers
