"""All checks of a tree against a local copy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from offclip.privacy.contents import private_outputs, read_text, refused, single_cases
from offclip.privacy.local import RECORDS, LocalCopy
from offclip.privacy.search import PASSAGE, identifiers, secret_passages
from offclip.privacy.words import numbered_words, readings, runs, words_of

_IDENTIFIER, _PASSAGE = "identifier of a restricted record", "passage of a restricted report"


@dataclass(frozen=True)
class Finding:
    """What a file must not show.

    Attributes:
        file: its path, as it was given and below that.
        place: such as "line 3"; "file" for the file as a whole.
        kind: what is wrong there.
    """

    file: str
    place: str
    kind: str

    def __str__(self) -> str:
        """One line; does not repeat the text or identifier that was found."""
        return f"{self.file}: {self.place}: {self.kind}"


def published_files(paths: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """Every file at and below ``paths``, and its name there; a repository's ``.git`` is left out.

    Raises:
        FileNotFoundError: a path is not there.
    """
    files: list[tuple[Path, str]] = []
    for given in map(Path, paths):
        if given.is_file():
            files.append((given, given.name))
        elif given.is_dir():
            below = [(path, path.relative_to(given)) for path in sorted(given.rglob("*"))]
            files += [
                (path, name.as_posix())
                for path, name in below
                if ".git" not in name.parts and path.is_file()
            ]
        else:
            raise FileNotFoundError(
                f"path: expected a file or folder to check, got none at {given}"
            )
    return files


def find_leaks(
    paths: Iterable[str | Path],
    copy: LocalCopy,
    *,
    open_texts: Iterable[str | Path] = (),
) -> tuple[int, list[Finding]]:
    """Everything at and below ``paths`` that must not be published.

    The pages are read twice and the records once; kept in memory are hashes: one per word of the
    pages, and one per identifier of the records.

    Args:
        paths: files and folders that are to be published.
        copy: of :func:`offclip.privacy.local_copy`.
        open_texts: files and folders whose phrases are known to be open.

    Returns:
        The number of files, and the findings in the order of files and lines.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: a file of the local copy is damaged; names it.
    """
    files = published_files(paths)
    shown: set[int] = set()
    for path, _ in files if copy.private else ():
        for reading in readings(read_text(path) or ""):
            shown.update(runs(numbered_words(reading)[0], PASSAGE))
    opened = (read_text(path) or "" for path, _ in published_files(open_texts))
    passages = secret_passages(copy, shown, opened)
    names = identifiers(copy)
    data_folders = [path.parent for path, _ in files if path.name == RECORDS]
    findings: list[Finding] = []
    for path, name in files:
        text = read_text(path)
        places = [("file name", _IDENTIFIER)] if _places(words_of(name), names) else []
        if reason := refused(path, text, data_folders):
            places.append(("file", reason))
        elif text is not None:
            places += single_cases(path, text)
            places += private_outputs(path, text, copy)
            places += _matches(text, passages, names) if copy.private else ()
        findings += [Finding(path.as_posix(), *place) for place in dict.fromkeys(places)]
    return len(files), findings


def _matches(
    text: str, passages: set[int], names: dict[int, set[int]]
) -> Iterator[tuple[str, str]]:
    """Place and kind of identifiers and passages."""
    matches = set[tuple[int, str]]()
    for reading in readings(text):
        words, lines = numbered_words(reading)
        matches |= {(lines[first], _IDENTIFIER) for first in _places(words, names)}
        hits = _places(words, {PASSAGE: passages})
        begins = hits - {place + 1 for place in hits}
        matches |= {(lines[first], _PASSAGE) for first in begins}
    yield from ((f"line {line}", kind) for line, kind in sorted(matches))


def _places(words: list[str], wanted: dict[int, set[int]]) -> set[int]:
    """The first words of runs that are wanted."""
    return {
        place
        for length, hashes in wanted.items()
        if hashes
        for place, run in enumerate(runs(words, length))
        if run in hashes
    }
