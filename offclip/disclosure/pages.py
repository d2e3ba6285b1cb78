"""All that is to be published, as words in order: the records are streamed past it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int32

from offclip.disclosure.words import Lookup, Words

Reading = tuple[int, int, Words]
"""Number of a file, how many texts its words are of, and these."""


@dataclass(frozen=True)
class Pages:
    """Readings of published files.

    Attributes:
        words: of all texts.
        file: the number of the file of each text.
    """

    words: Words
    file: Int32[np.ndarray, " text"]

    @cached_property
    def _known(self) -> dict[int, Lookup]:
        return {}

    def runs(self, length: int) -> Lookup:
        """Every run of ``length`` words on any page."""
        if length not in self._known:
            self._known[length] = Lookup(self.words.runs(length)[0])
        return self._known[length]

    def passages(self, found: dict[int, Lookup]) -> dict[int, int]:
        """How many passages of a file consist of such runs; the most of any of its texts."""
        inside = np.zeros(len(self.words.text), bool)
        for length, lookup in found.items():
            hashes, _, first = self.words.runs(length)
            here = first[lookup.has(hashes)]
            for place in range(length):
                inside[here + place] = True
        text = self.words.text
        begins = inside.copy()
        begins[1:] &= ~inside[:-1] | (text[1:] != text[:-1])
        counts: dict[int, int] = {}
        for number, count in zip(*np.unique(text[begins], return_counts=True), strict=True):
            file = int(self.file[number])
            counts[file] = max(counts.get(file, 0), int(count))
        return counts

    def different(self, found: dict[int, Lookup]) -> dict[int, int]:
        """How many different runs of these, by length, a file has."""
        counts: dict[int, int] = {}
        for length, lookup in found.items():
            hashes, text, _ = self.words.runs(length)
            hit = lookup.has(hashes)
            pairs = np.stack([self.file[text[hit]].astype(np.uint64), hashes[hit]], axis=1)
            for file in np.unique(pairs, axis=0)[:, 0].tolist():
                counts[file] = counts.get(file, 0) + 1
        return counts


def pages_of(readings: Iterable[Reading]) -> Pages:
    """Put readings one behind the other."""
    hashes, texts, files = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], list[int]()
    for number, count, words in readings:
        hashes.append(words.hashes)
        texts.append((words.text + len(files)).astype(np.int32))
        files += [number] * count
    words = Words(np.concatenate(hashes), np.concatenate(texts))
    return Pages(words, np.array(files, dtype=np.int32))
