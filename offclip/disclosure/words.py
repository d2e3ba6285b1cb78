"""Texts as hashed words, and runs of words as one number each. Imports nothing of the package.

The same function reads records and pages, so case, punctuation, white space and the form of an
accented letter make no difference between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, UInt64

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplication modulo 2^64 loses nothing
_NO_LETTER_OR_DIGIT = r"[^\p{L}\p{N}]+"
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) * 2
_BUCKETS = 24  # bits of a table that answers most questions without a search


@dataclass(frozen=True)
class Words:
    """Words in order, and the text each stands in."""

    hashes: UInt64[np.ndarray, " word"]
    text: Int32[np.ndarray, " word"]

    def runs(
        self, length: int
    ) -> tuple[UInt64[np.ndarray, " run"], Int32[np.ndarray, " run"], Int32[np.ndarray, " run"]]:
        """Every ``length`` words of one text that follow each other: hash, text, first word."""
        count = len(self.hashes) - length + 1
        if count <= 0:
            nothing = np.zeros(0, np.int32)
            return np.zeros(0, np.uint64), nothing, nothing
        first = np.flatnonzero(self.text[:count] == self.text[length - 1 :]).astype(np.int32)
        return hash_runs(self.hashes, length)[first], self.text[first], first


def words_of(texts: Sequence[str | None] | pa.Array) -> Words:
    """Letters and digits in lower case, hashed; everything between them parts words."""
    if not isinstance(texts, pa.Array):
        texts = pa.array([_valid(text) for text in texts], pa.string())
    lists = pc.utf8_split_whitespace(_plain(texts))
    words, text = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy()
    coded = words.dictionary_encode()
    known = pd.util.hash_array(coded.dictionary.to_numpy(zero_copy_only=False).astype(object))
    codes = coded.indices.to_numpy()
    kept = np.asarray(pc.not_equal(words, ""), dtype=bool)
    return Words(known[codes[kept]], text[kept].astype(np.int32))


def _plain(texts: pa.Array) -> pa.Array:
    """Lower case, with blanks for what parts words; for ASCII byte by byte, which is fast."""
    texts = pa.concat_arrays([pc.fill_null(texts, "")])  # of a slice, its own bytes only
    _, offsets, content = texts.buffers()
    if content is not None and bytes(content).isascii() and not texts.offset:
        letters = pa.py_buffer(bytes(content).translate(_ASCII))
        return pa.StringArray.from_buffers(len(texts), offsets, letters)
    plain = pc.utf8_lower(pc.utf8_normalize(texts, "NFKC"))
    return pc.replace_substring_regex(plain, _NO_LETTER_OR_DIGIT, " ")


def hash_runs(
    values: UInt64[np.ndarray, " value"], length: int, stride: int = 1
) -> UInt64[np.ndarray, " run"]:
    """Hash of ``length`` values, every ``stride``-th, from each: a polynomial modulo 2^64."""
    count = max(len(values) - (length - 1) * stride, 0)
    total = np.zeros(count, np.uint64)
    for start in range(0, length * stride, stride):
        total = total * _FACTOR + values[start : start + count]
    return total


@dataclass(frozen=True)
class Lookup:
    """A set of hashes that answers many questions at once."""

    hashes: UInt64[np.ndarray, " hash"]
    _buckets: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort, and mark which buckets hold anything."""
        object.__setattr__(self, "hashes", np.sort(self.hashes))
        object.__setattr__(self, "_buckets", np.zeros(1 << _BUCKETS, bool))
        self._buckets[_bucket(self.hashes)] = True

    def has(self, asked: UInt64[np.ndarray, " asked"]) -> Bool[np.ndarray, " asked"]:
        """Whether each of ``asked`` is in the set."""
        found = self._buckets[_bucket(asked)]
        near = np.flatnonzero(found)
        if len(near):
            place = np.searchsorted(self.hashes, asked[near])
            found[near] = self.hashes[np.minimum(place, len(self.hashes) - 1)] == asked[near]
        return found


def _bucket(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - _BUCKETS)).astype(np.int64)


def _valid(text: str | None) -> str:
    """Text that has a UTF-8 form: halves of broken pairs are gone."""
    return (text or "").encode("utf-8", "ignore").decode("utf-8")
