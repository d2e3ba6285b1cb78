"""Decimal numbers of pages, and runs of them as one hash each. Imports ``words``.

A table is printed row by row, so its columns are every so-many-th number of a page: a run takes
numbers next to each other, or every second, and so on to every eighth.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from offclip.disclosure.words import Lookup, hash_runs

STRIDES = range(1, 9)
LEAST_DIFFERENT = 3
"""Different values of a run; 0.00, 0.00, 0.01, 0.00 stands in any table."""
Numbers = tuple[Float64[np.ndarray, " number"], Int64[np.ndarray, " number"]]


@dataclass(frozen=True)
class Printed:
    """Numbers in order, reading by reading, with the digits behind the point and the file."""

    readings: tuple[tuple[int, Numbers], ...]

    @cached_property
    def _known(self) -> dict[tuple[int, int], list[tuple[int, int, np.ndarray, np.ndarray]]]:
        return {}

    def runs(self, digits: int, length: int) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
        """Runs that show so many digits: file, stride, first number and hash, by reading."""
        if (digits, length) not in self._known:
            self._known[digits, length] = [
                (file, stride, *_runs(*numbers, digits, length, stride))
                for file, numbers in self.readings
                if digits in numbers[1]
                for stride in STRIDES
            ]
        return self._known[digits, length]

    def lookup(self, digits: int, length: int) -> Lookup:
        """The hashes of these runs."""
        hashes = [each[3] for each in self.runs(digits, length)]
        return Lookup(np.concatenate([np.zeros(0, np.uint64), *hashes]))

    def files(self, found: Lookup, digits: int, length: int) -> dict[int, int]:
        """How many stretches of numbers of a file consist of such runs."""
        counts: dict[int, int] = {}
        for file, _, first, hashes in self.runs(digits, length):
            here = first[found.has(hashes)]
            stretches = int(len(here) and 1 + (np.diff(here) > 1).sum())
            if stretches:
                counts[file] = max(counts.get(file, 0), stretches)
        return counts


def rounded(values: np.ndarray, digits: int) -> UInt64[np.ndarray, "*shape"]:
    """A hash of each value at so many digits; no number is like no other."""
    whole = np.rint(np.nan_to_num(values, nan=9e9, posinf=9e9, neginf=9e9) * 10.0**digits)
    mixed = whole.astype(np.int64).view(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)


def _runs(
    values: np.ndarray, shown: np.ndarray, digits: int, length: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """First number and hash of runs whose longest number has so many digits."""
    if len(values) < (length - 1) * stride + 1:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    hashes, firsts = [], []
    for start in range(stride):
        part, places = slice(start, None, stride), np.arange(start, len(values), stride)
        window = np.lib.stride_tricks.sliding_window_view
        if len(places) < length:
            continue
        kept = window(shown[part], length).max(axis=1) == digits
        marks = rounded(values[part], digits)
        kept[kept] = different(window(marks, length)[kept])
        hashes.append(hash_runs(marks, length)[kept])
        firsts.append(np.flatnonzero(kept) + start * len(values))
    return np.concatenate(firsts), np.concatenate(hashes)


def different(runs: UInt64[np.ndarray, "run length"]) -> np.ndarray:
    """Which runs have enough different values."""
    return (np.diff(np.sort(runs, axis=1), axis=1) != 0).sum(axis=1) + 1 >= LEAST_DIFFERENT
