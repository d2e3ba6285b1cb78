"""Identifiers on pages and in the names of files: studies, patients, images, UIDs.

An identifier is the words it consists of, so ``s50414267`` is found in an address, and not in a
longer number. Names that several patients share (``view1_frontal``) and those with few digits tell
nobody's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from offclip.disclosure.local import LEFT_OUT, RECORDS, LocalCopy, batches, hashed, restricted
from offclip.disclosure.pages import Pages
from offclip.disclosure.words import Lookup, words_of

LEAST_CHARACTERS, LEAST_DIGITS, LONG = 6, 5, 16
"""An identifier has so many characters and digits; or, if it is long, one digit."""
_COLUMNS = ("study_id", "patient_id", "image", "access")
_LETTER_AND_NUMBER = "^[A-Za-z]([0-9]{6,})$"
_SUFFIX = r"(\.[A-Za-z][A-Za-z0-9]{1,5})+$"


@dataclass
class _Seen:
    """Identifiers that some page has: hash, patient, and whether it must be one patient's."""

    pages: Pages
    found: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def add(self, names: pa.Array, patients: np.ndarray, *, shared: bool) -> None:
        """Keep the names that a page has. ``shared``: others may have the same name."""
        kept = np.asarray(_identifies(names), dtype=bool)
        names, patients = names.filter(pa.array(kept)), patients[kept]
        words = words_of(names)
        lengths = np.bincount(words.text, minlength=len(names))
        for length in np.unique(lengths[lengths > 0]).tolist():
            hashes, text, _ = words.runs(length)
            whole = lengths[text] == length
            hashes, text = hashes[whole], text[whole]
            hit = self.pages.runs(length).has(hashes)
            owners = patients[text[hit]] if shared else np.zeros(hit.sum(), np.uint64)
            self.found.setdefault(length, []).append(np.stack([hashes[hit], owners], axis=1))

    def identifiers(self) -> dict[int, Lookup]:
        """Hashes by number of words; names of several patients are none, unless they are ids."""
        kept = {}
        for length, pairs in self.found.items():
            names, owners = np.unique(np.concatenate(pairs), axis=0).T
            known, counts = np.unique(names, return_counts=True)
            kept[length] = Lookup(np.union1d(known[counts == 1], names[owners == 0]))
        return kept


def find_identifiers(pages: Pages, copy: LocalCopy) -> dict[int, Lookup]:
    """Identifiers of restricted records that the pages have, by number of words.

    Args:
        pages: readings without decimal numbers, and the names of the files.
        copy: the records; what was left out of them is looked for as well.
    """
    seen = _Seen(pages)
    for folder in copy.private:
        for batch in batches(folder / RECORDS, _COLUMNS):
            study, patient, image, _ = batch.filter(restricted(batch)).columns
            owner = hashed(patient)
            for names in (study, patient):
                for form in _forms(names):
                    seen.add(form, owner[: len(form)], shared=False)
            seen.add(*_parts(image, owner), shared=True)
        for study, image in left_out(folder):
            for form in _forms(study):
                seen.add(form, hashed(form), shared=False)
            seen.add(*_parts(image, hashed(study)), shared=True)
    return seen.identifiers()


def left_out(folder: Path) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Study and image of what curation left out of the records of a folder."""
    if (folder / LEFT_OUT).exists():
        for batch in batches(folder / LEFT_OUT, ("study_id", "image")):
            yield batch.column("study_id"), batch.column("image")


def _forms(names: pa.Array) -> Iterator[pa.Array]:
    """An id as it is, and as sets write it elsewhere: 50414267 is s50414267 in a path."""
    yield names
    inner = pc.replace_substring_regex(names, _LETTER_AND_NUMBER, r"\1")
    yield inner.filter(pc.not_equal(inner, names))
    numbers = names.filter(pc.match_substring_regex(names, "^[0-9]{6,}$"))
    for letter in "sp":
        yield pc.binary_join_element_wise(letter, numbers, "")


def _parts(paths: pa.Array, owners: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Names of folders and files on the way to an image, without endings."""
    lists = pc.split_pattern(paths, "/")
    parents = pc.list_parent_indices(lists).to_numpy()
    return without_ending(pc.list_flatten(lists)), owners[parents]


def without_ending(names: pa.Array) -> pa.Array:
    """Names of files without .jpg, .nii.gz and their like."""
    return pc.replace_substring_regex(names, _SUFFIX, "")


def _identifies(names: pa.Array) -> pa.Array:
    usual = pc.and_(
        pc.match_substring_regex(names, f"(?:[0-9][^0-9]*){{{LEAST_DIGITS}}}"),
        pc.greater_equal(pc.utf8_length(names), LEAST_CHARACTERS),
    )
    long = pc.greater_equal(pc.utf8_length(names), LONG)
    return pc.or_(usual, pc.and_(long, pc.match_substring_regex(names, "[0-9]")))
