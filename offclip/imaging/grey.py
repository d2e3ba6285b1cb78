"""From stored DICOM values to 8-bit grey (PS3.3 C.11 and C.7.6.3.1.2). Imports its neighbours.

Modality table or slope → VOI table or window → inversion → 8 bits, worked out once for each value
that occurs.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from offclip.imaging.errors import UnreadableImage
from offclip.imaging.levels import Levels, map_levels, quantile

_OUTLIERS = 0.01  # of the pixels at either end
_LEAST = 1 / 16  # of the grey scale that the others must span


@dataclass(frozen=True)
class Storage:
    """How values lie in the words of a file.

    Attributes:
        word: bits of a word.
        bits: that a value has.
        high_bit: the highest of these, by the header.
        signed: in two's complement.
    """

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
    return map_levels(words, partial(_viewer_levels, words, storage, header))


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


def _viewer_levels(
    words: np.ndarray, storage: Storage, header: Dataset, levels: Levels, counts: Levels
) -> Levels:
    padding = _padding(levels, storage, header)
    values = stored_values(levels, words, storage, ~padding)
    padding |= _padding(values, storage, header)
    scaled = _modality(values, header)
    if not np.isfinite(scaled).all():
        raise UnreadableImage("its values are not finite when they are rescaled")
    shown = _voi(scaled, header)
    kept = ~padding if not padding.all() else padding
    if shown is None and np.ptp(scaled[kept]) == 0:
        return np.zeros(len(levels))
    if shown is None:
        shown = _full_range(scaled, scaled[kept], counts[kept])
    else:
        _check_contrast(shown[kept], scaled[kept], counts[kept])
    shape = str(header.get("PresentationLUTShape") or "").strip().upper()
    if header.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE":
        shown = 1 - shown
    return np.where(padding, 0, np.rint(255 * shown))


def stored_values(
    levels: Levels, words: np.ndarray, storage: Storage, counted: np.ndarray | slice = slice(None)
) -> Levels:
    """Values of the words that occur.

    Bits above those stored hold the sign, overlays, or nothing, and are dropped, unless the header
    is wrong. It is where the image is smoother with them: then they belong to the values. Values in
    the upper bits of a word, by the header, are shifted down if any word has bits there.

    Args:
        levels: words that occur.
        words: of the image.
        storage: by the header.
        counted: which levels are of the image, and not padding.
    """
    whole = _integers(levels, storage.word, storage.signed)
    plain = _integers(levels, storage.bits, storage.signed)
    used = levels[counted]
    if not len(used) or used.max() < 2**storage.bits or (whole == plain)[counted].all():
        return plain
    if storage.high_bit >= storage.bits:
        shift = min(storage.high_bit, storage.word - 1) + 1 - storage.bits
        return _integers(levels >> shift, storage.bits, storage.signed)
    rows = words[:: 1 + len(words) // 300]
    rough = [
        np.abs(np.diff(_integers(rows, bits, storage.signed))).sum()
        for bits in (storage.bits, storage.word)
    ]
    return plain if rough[0] <= rough[1] else whole


def _integers(words: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    """The lowest bits as integers."""
    values = words.astype(np.int64) & (2**bits - 1)
    return values - (values >> (bits - 1) << bits) if signed else values


def _padding(values: Levels, storage: Storage, header: Dataset) -> np.ndarray:
    """Which values fill what was not exposed (C.7.5.1.1.2); of signed values, in any VR."""
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
    slope = next(iter(_numbers(header, "RescaleSlope")), 1.0)
    if slope == 0:
        raise UnreadableImage("expected a RescaleSlope other than 0")
    return values * slope + next(iter(_numbers(header, "RescaleIntercept")), 0.0)


def _voi(values: Levels, header: Dataset) -> Levels | None:
    """Values of interest to fractions of white, by the first table or window that is of use."""
    table = _first_table(header, "VOILUTSequence")
    if table is not None:
        first, entries = table
        # its own ends: descriptors promise 16 bits of tables that use 12
        fractions = (entries - entries.min()) / max(np.ptp(entries), 1)
        return _looked_up(values, first, fractions)
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    least = 1.0 if function == "LINEAR" else np.nextafter(0, 1)
    windows = zip(_numbers(header, "WindowCenter"), _numbers(header, "WindowWidth"), strict=False)
    usable = [(center, width) for center, width in windows if width >= least]
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


def _full_range(values: Levels, kept: np.ndarray, counts: np.ndarray) -> Levels:
    """From the lowest value, black, to the highest, white."""
    low, high = kept.min(), kept.max()
    ends = quantile(kept, counts, _OUTLIERS), quantile(kept, counts, 1 - _OUTLIERS)
    if 0 < ends[1] - ends[0] < (high - low) * _LEAST:
        low, high = ends
    return np.clip((values - low) / (high - low), 0, 1)


def _check_contrast(shown: Levels, values: Levels, counts: Levels) -> None:
    """Refuse a window in other units than the values, which would be black or washed out.

    Raises:
        UnreadableImage: an even grey, or nearly so.
    """

    def span(each: Levels) -> float:
        return quantile(each, counts, 1 - _OUTLIERS) - quantile(each, counts, _OUTLIERS)

    even = np.ptp(shown) == 0 and np.ptp(values) > 0
    if even or (span(values) > 0 and span(shown) < _LEAST):
        raise UnreadableImage(
            "its window shows nearly one even grey, though its pixels differ; leave it out"
        )


def _first_table(header: Dataset, name: str) -> tuple[int, np.ndarray] | None:
    """First value that a lookup table maps, and its entries (C.11.1.1); of the first not empty."""
    for item in header.get(name) or ():
        descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
        if not descriptor or data is None or data == b"":
            continue
        count, first, bits = (int(number) for number in descriptor)
        entries = _entries(data, count or 2**16, bits, header.original_encoding[1])
        return first, entries.astype(np.float64)
    return None


def _entries(data: Any, count: int, bits: int, little: bool) -> np.ndarray:
    """Entries of a table: words, or two bytes in a word where an entry has up to 8 bits."""
    if isinstance(data, bytes):
        words = np.frombuffer(data + bytes(len(data) % 2), "<u2" if little else ">u2")
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
    """Entries for values; ``first`` is read with the sign with which it meets them.

    Its value representation, US or SS, is often the wrong one.
    """
    low, high = values.min(), values.max()

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
