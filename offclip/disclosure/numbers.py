"""Decimal numbers of pages, and runs of them as one hash each. Imports ``words``.

A table is printed row by row, so its columns are every so-many-th number of a page: a run takes
numbers next to each other, or every second, and so on to every eighth.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from offclip.disclosure.words import Lookup, hash_runs

STRIDES = range(1, 9)
LEAST_DIFFERENT = 3
"""Different values of a run; 0.00, 0.00, 0.01, 0.00 stands in any table."""
Numbers = tuple[Float64[np.ndarray, "_"], Int64[np.ndarray, "_"]]
Run = tuple[int, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Printed:
    """Numbers of all texts in order.

    Attributes:
        values: of the numbers.
        digits: that each shows behind the point.
        text: each stands in.
        file: of each text.
    """

    values: Float64[np.ndarray, " number"]
    digits: Int64[np.ndarray, " number"]
    text: Int64[np.ndarray, " number"]
    file: Int64[np.ndarray, " text"]

    @cached_property
    def _known(self) -> dict[tuple[int, int], list[Run]]:
        return {}

    def runs(self, digits: int, length: int) -> list[Run]:
        """Runs whose longest number has so many digits: stride, first numbers, hashes."""
        if (digits, length) not in self._known:
            marks = rounded(self.values, digits)
            self._known[digits, length] = [
                (stride, *self._runs(marks, digits, length, stride)) for stride in STRIDES
            ]
        return self._known[digits, length]

    def _runs(
        self, marks: np.ndarray, digits: int, length: int, stride: int
    ) -> tuple[np.ndarray, np.ndarray]:
        count = len(marks) - (length - 1) * stride
        if count <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        steps = stride * np.arange(length)
        longest = np.max([self.digits[step : step + count] for step in steps], axis=0)
        alone = self.text[:count] == self.text[steps[-1] :]
        first = np.flatnonzero((longest == digits) & alone)
        first = first[_differ(marks[first[:, None] + steps])]
        return first, hash_runs(marks, length, stride)[first]

    def lookup(self, digits: int, length: int) -> Lookup:
        """The hashes of these runs."""
        return Lookup(np.concatenate([hashes for _, _, hashes in self.runs(digits, length)]))

    def files(self, found: Lookup, digits: int, length: int) -> dict[int, int]:
        """How many numbers of a file stand in such runs; the most of any of its texts."""
        inside = np.zeros(len(self.values), bool)
        for stride, first, hashes in self.runs(digits, length):
            here = first[found.has(hashes)]
            inside[here[:, None] + stride * np.arange(length)] = True
        counts: dict[int, int] = {}
        for text, count in zip(*np.unique(self.text[inside], return_counts=True), strict=True):
            file = int(self.file[text])
            counts[file] = max(counts.get(file, 0), int(count))
        return counts


def printed(texts: Iterable[tuple[int, Numbers]]) -> Printed:
    """Put the numbers of texts, each with the number of its file, one behind the other."""
    found = list(texts)
    lengths = [len(values) for _, (values, _) in found]
    return Printed(
        np.concatenate([np.zeros(0), *(values for _, (values, _) in found)]),
        np.concatenate([np.zeros(0, np.int64), *(digits for _, (_, digits) in found)]),
        np.repeat(np.arange(len(found)), lengths),
        np.array([file for file, _ in found], dtype=np.int64),
    )


def rounded(values: np.ndarray, digits: int) -> UInt64[np.ndarray, "*shape"]:
    """A hash of each value at so many digits; what is no number is like nothing on a page."""
    whole = np.rint(np.nan_to_num(values, nan=9e9, posinf=9e9, neginf=9e9) * 10.0**digits)
    mixed = whole.astype(np.int64).view(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)


def _differ(runs: UInt64[np.ndarray, "run length"]) -> Bool[np.ndarray, " run"]:
    """Which runs have enough different values."""
    return (np.diff(np.sort(runs, axis=1), axis=1) != 0).sum(axis=1) + 1 >= LEAST_DIFFERENT
