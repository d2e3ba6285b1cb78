"""All checks of a tree against a local copy, and what is said of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from offclip.disclosure.identifiers import find_identifiers
from offclip.disclosure.local import LocalCopy
from offclip.disclosure.markup import decimals, without_decimals
from offclip.disclosure.numbers import Numbers, printed
from offclip.disclosure.pages import Reading, pages_of
from offclip.disclosure.passages import find_passages
from offclip.disclosure.pictures import find_pictures
from offclip.disclosure.provenance import evidence_values, json_faults
from offclip.disclosure.published import PublishedFile, published_files
from offclip.disclosure.scores import find_scores
from offclip.disclosure.words import words_of

_JSON = (".json", ".ipynb")


@dataclass(frozen=True)
class Fault:
    """What a file must not show.

    Attributes:
        file: its name below the folder that was checked; a name that tells an identifier is masked.
        kind: of what it shows.
        count: how many.
    """

    file: str
    kind: str
    count: int

    def __str__(self) -> str:
        """One line; says nothing of what was found."""
        return f"{self.file}: {self.count} {self.kind}"


@dataclass(frozen=True)
class Report:
    """What was looked at, and what is wrong with it."""

    files: int
    faults: list[Fault]


@dataclass
class _Tree:
    """What is published: the words, numbers and pictures of its files, and what these tell."""

    copy: LocalCopy
    names: list[str] = field(default_factory=list)
    texts: list[Reading] = field(default_factory=list)
    bare: list[Reading] = field(default_factory=list)
    numbers: list[tuple[int, Numbers]] = field(default_factory=list)
    pictures: list[tuple[int, np.ndarray]] = field(default_factory=list)
    told: list[tuple[str, dict[int, int]]] = field(default_factory=list)

    def add(self, file: PublishedFile) -> None:
        number = len(self.names)
        self.names.append(file.name)
        texts, values = list(file.texts), list(file.texts)
        if file.data:
            self.told.append((f"files with data that cannot be read ({file.data})", {number: 1}))
        if file.path.suffix in _JSON and (value := _parsed(file.raw)) is not None:
            faults = json_faults(value, file.path, self.copy)
            self.told += [(kind, {number: count}) for kind, count in faults if count]
            values.append(evidence_values(value))
        self.texts.append((number, len(texts), words_of(texts)))
        bare = [file.name, *map(without_decimals, texts)]
        self.bare.append((number, len(bare), words_of(bare)))
        shown = [decimals(text) for text in values]
        self.numbers += [(number, each) for each in shown if len(each[0])]
        self.pictures += [(number, picture) for picture in file.pictures]


def find_faults(
    paths: Iterable[str | Path],
    copy: LocalCopy,
    *,
    open_texts: Iterable[str | Path] = (),
) -> Report:
    """Everything at and below ``paths`` that the local copy does not allow.

    Args:
        paths: files and folders that are to be published.
        copy: of :func:`offclip.disclosure.local_copy`.
        open_texts: files and folders whose phrases are known to be open: no fault.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: a file of the local copy is damaged; names it.
    """
    tree = _Tree(copy)
    for file in published_files(paths):
        tree.add(file)
    known = (text for file in published_files(open_texts) for text in file.texts)
    pages, bare = pages_of(tree.texts), pages_of(tree.bare)
    passages, identifiers = find_passages(pages, copy, known), find_identifiers(bare, copy)
    scores = find_scores(printed(tree.numbers), copy)
    found = [
        *tree.told,
        ("passages of restricted reports", pages.passages(passages.restricted)),
        ("passages of altered no-derivatives text", pages.passages(passages.altered)),
        ("identifiers of restricted records", bare.different(identifiers)),
        ("scores of single restricted images", scores),
        ("pictures of restricted records", find_pictures(tree.pictures, copy)),
    ]
    names = _masked(tree.names, identifiers)
    faults = [Fault(names[n], kind, count) for kind, files in found for n, count in files.items()]
    return Report(len(names), sorted(faults, key=lambda fault: (fault.file, fault.kind)))


def _parsed(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _masked(names: list[str], identifiers: dict[int, Any]) -> list[str]:
    """The names; of one that tells an identifier, what has no digit, and its place in the order."""
    pages = pages_of([(number, 1, words_of([name])) for number, name in enumerate(names)])
    telling = pages.different(identifiers)
    return [_mask(name, number) if number in telling else name for number, name in enumerate(names)]


def _mask(name: str, number: int) -> str:
    path = PurePosixPath(name)
    parts = ["…" if any(map(str.isdigit, part)) else part for part in path.parts]
    return f"{'/'.join(parts)} (file {number + 1}, {path.suffix or 'no ending'})"
