"""Report text on pages: runs of words that stand in the local copy.

Eight words of a sentence, or twelve that run over several, count as a passage of a report. A common
phrase does not: it stands in the reports of more than ``COMMON`` patients, or in an open report, or
in text that the user names as open. So a part of a sentence is found when it is quoted, and "no
pleural effusion or pneumothorax is seen" is no fault. The price: shorter quotations are not found,
nor a report that consists of common phrases.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from offclip.disclosure.local import (
    NO_DERIVATIVES,
    RECORDS,
    LocalCopy,
    batches,
    hashed,
    restricted,
)
from offclip.disclosure.pages import Pages
from offclip.disclosure.words import Lookup, Words, words_of

WITHIN, ACROSS, ALTERED = 8, 12, 10
"""Words of a run within a sentence, over several, and within a prompt ("there is" and eight);
fewer are common phrases too often."""
COMMON = 100
"""A run in the reports of more patients than this tells nobody's report."""
_COLUMNS = ("dataset", "patient_id", "sentences", "prompts", "access")


@dataclass(frozen=True)
class Passages:
    """Runs on pages that must not be there, by their number of words.

    Attributes:
        restricted: of registration and credentialed reports, or of prompts made from them.
        altered: of prompts of no-derivatives reports, which no such report says word for word.
    """

    restricted: dict[int, Lookup]
    altered: dict[int, Lookup]


@dataclass
class _Seen:
    """Runs of one length that the pages have and records too, by what these allow."""

    pages: Lookup
    length: int
    private: list[np.ndarray] = field(default_factory=list)
    open: list[np.ndarray] = field(default_factory=list)
    verbatim: list[np.ndarray] = field(default_factory=list)
    prompts: list[np.ndarray] = field(default_factory=list)

    def add(self, words: Words, told: "_Told") -> None:
        """Take in words of a column of records; the text of a word is its row in ``told``."""
        hashes, text, _ = words.runs(self.length)
        hit = self.pages.has(hashes)
        hashes, text = hashes[hit], text[hit]
        private, kept = told.private[text], told.no_derivatives[text]
        self.private.append(np.stack([hashes[private], told.patient[text[private]]], axis=1))
        self.open.append(hashes[~private])
        (self.prompts if told.column == "prompts" else self.verbatim).append(hashes[kept])

    def rare(self) -> np.ndarray:
        """Runs of restricted records that are no common phrase as far as records tell."""
        pairs = np.unique(_together(self.private, (0, 2)), axis=0)
        found, counts = np.unique(pairs[:, 0], return_counts=True)
        return found[(counts <= COMMON) & ~Lookup(_together(self.open)).has(found)]

    def altered(self) -> np.ndarray:
        """Runs of prompts of no-derivatives records that none of them says."""
        prompts = _together(self.prompts)
        return prompts[~Lookup(_together(self.verbatim)).has(prompts)]


@dataclass(frozen=True)
class _Told:
    """Of each text of a column: its patient, and what its record allows."""

    column: str
    patient: np.ndarray
    private: np.ndarray
    no_derivatives: np.ndarray

    def rows(self, rows: np.ndarray) -> "_Told":
        """The same of these rows."""
        return _Told(self.column, self.patient[rows], self.private[rows], self.no_derivatives[rows])


def find_passages(pages: Pages, copy: LocalCopy, open_texts: Iterable[str] = ()) -> Passages:
    """Stream all records past the pages.

    Args:
        pages: what is to be published.
        copy: the records.
        open_texts: further text whose phrases are no fault.
    """
    lengths = (WITHIN, ACROSS, ALTERED)
    within, across, altered = (_Seen(pages.runs(length), length) for length in lengths)
    for folder in copy.restricted:
        for batch in batches(folder / RECORDS, _COLUMNS):
            for column in ("sentences", "prompts"):
                lists, told = batch.column(column), _told(batch, column)
                rows = pc.list_parent_indices(lists).to_numpy()
                words = words_of(pc.list_flatten(lists))
                within.add(words, told.rows(rows))
                altered.add(words, told.rows(rows))
                if column == "sentences":  # prompts are sentences of their own
                    across.add(Words(words.hashes, rows[words.text].astype(np.int32)), told)
    known = words_of(list(open_texts))
    found = {WITHIN: within.rare(), ACROSS: across.rare(), ALTERED: altered.altered()}
    unknown = {
        length: Lookup(runs[~Lookup(known.runs(length)[0]).has(runs)])
        for length, runs in found.items()
    }
    return Passages(
        {length: unknown[length] for length in (WITHIN, ACROSS)}, {ALTERED: unknown[ALTERED]}
    )


def _together(parts: list[np.ndarray], nothing: tuple[int, ...] = (0,)) -> np.ndarray:
    return np.concatenate([np.zeros(nothing, np.uint64), *parts])


def _told(batch: pa.RecordBatch, column: str) -> _Told:
    dataset, patient, *_ = batch.columns
    kept = pc.equal(batch.column("access"), NO_DERIVATIVES)
    return _Told(
        column,
        hashed(pc.binary_join_element_wise(dataset, patient, "\n")),
        np.asarray(restricted(batch), dtype=bool),
        np.asarray(kept, dtype=bool),
    )
