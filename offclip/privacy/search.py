"""Identifiers and passages of restricted records, as hashes to look up in pages.

Eight words in a row of a report count as a passage. A common phrase does not: it is in the reports
of more than ``COMMON`` patients, in an open report, or in text that the user names as open. The
price: shorter quotations are missed, and so is a report that consists of common phrases.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from offclip.privacy.local import LEFT_OUT, RECORDS, LocalCopy, rows
from offclip.privacy.words import runs, words_of
from offclip.text.destination import RESTRICTED_ACCESS

PASSAGE = 8
"""Words of a passage."""
COMMON = 100
"""A passage in the reports of more patients than this is a common phrase."""
LEAST_CHARACTERS, LEAST_DIGITS, LONG = 6, 5, 16
"""An identifier has at least so many characters and digits; or, if it is long, one digit."""


def identifiers(copy: LocalCopy) -> dict[int, set[int]]:
    """Hashes of the names of restricted studies, patients and images, by their number of words.

    What curation left out of the records is included.
    """
    hashes: dict[int, set[int]] = defaultdict(set)
    for name in set(_names(copy)):
        for form in _forms(name):
            words = words_of(form)
            hashes[len(words)].update(runs(words, len(words)))
    return dict(hashes)


def _names(copy: LocalCopy) -> Iterator[str]:
    for folder in copy.private:
        columns = ("study_id", "patient_id", "image", "access")
        for study, patient, image, access in rows(folder / RECORDS, columns):
            if access in RESTRICTED_ACCESS:
                yield from (study, patient, _stem(image))
        if (folder / LEFT_OUT).exists():
            for study, image in rows(folder / LEFT_OUT, ("study_id", "image")):
                yield from (study or "", _stem(image or ""))


def _stem(image: str) -> str:
    """Name of an image file without .jpg, .nii.gz and their like; the dots of a UID stay."""
    return re.sub(r"(\.[A-Za-z][A-Za-z0-9]{1,5})+$", "", PurePosixPath(image).name)


def _forms(name: str) -> Iterator[str]:
    """An identifier as it is, and as paths have it: study 50414267 is s50414267 there."""
    least = 1 if len(name) >= LONG else LEAST_DIGITS
    if len(name) < LEAST_CHARACTERS or sum(map(str.isdigit, name)) < least:
        return
    yield name
    if re.fullmatch("[0-9]{6,}", name):
        yield from (f"s{name}", f"p{name}")
    if re.fullmatch("[A-Za-z][0-9]{6,}", name):
        yield name[1:]


def secret_passages(copy: LocalCopy, shown: set[int], open_texts: Iterable[str]) -> set[int]:
    """Passages of restricted reports, and of prompts made from them, that are no common phrases.

    Args:
        copy: the records, streamed.
        shown: hashes of all runs of ``PASSAGE`` words of the pages; others are not kept.
        open_texts: further texts whose phrases are open.
    """
    patients: dict[int, set[tuple[str, str]]] = defaultdict(set)
    known = {run for text in open_texts for run in runs(words_of(text), PASSAGE)}
    for folder in copy.restricted:
        for dataset, patient, access, text in _texts(folder / RECORDS):
            hits = shown.intersection(runs(words_of(text), PASSAGE))
            if access not in RESTRICTED_ACCESS:
                known |= hits
                continue
            for hit in hits:
                if len(patients[hit]) <= COMMON:
                    patients[hit].add((dataset, patient))
    return {run for run, owners in patients.items() if len(owners) <= COMMON} - known


def _texts(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Dataset, patient, access and text of each report and of each prompt."""
    columns = ("dataset", "patient_id", "access", "sentences", "prompts")
    for dataset, patient, access, sentences, prompts in rows(path, columns):
        for text in (" ".join(sentences), *prompts):
            yield dataset, patient, access, text
