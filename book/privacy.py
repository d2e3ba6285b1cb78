"""What a published page must not show of the records behind it; see book/data-access.md.

Registration and credentialed records: no identifier, no sentence, no pixels. No-derivatives
records: no altered text, that is no prompt that the report does not say word for word.
"""

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import pandas as pd
import papermill

from offclip.data.records import read_records

RESTRICTED = ("registration", "credentialed")
NO_DERIVATIVES = "open-no-derivatives"
DRAWS_PIXELS = ("contact_sheet", "attention_overlay", "imshow")
_LEAST_WORDS = 8  # shorter sentences are common phrases: they identify no report
_LEAST_IDENTIFIER = 6  # characters; shorter ones are ordinary words and numbers
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.S | re.I)
_WORD = re.compile(r"[\w-]+")


def privacy_faults(built: Path, executed: Path) -> list[str]:
    """What the pages under ``built`` show that they must not; texts are not repeated.

    Args:
        built: folder of the HTML pages.
        executed: folder of the executed notebooks, whose ``data`` parameters name the records.
    """
    faults: list[str] = []
    folders: dict[Path, list[Path]] = {}
    for notebook in sorted(executed.glob("*.ipynb")):
        if folder := data_folder(notebook):
            folders.setdefault(folder, []).append(notebook)
    for folder, notebooks in folders.items():
        path = folder / "records.parquet"
        if not path.exists():
            continue
        records = read_records(path)
        restricted = records[records["access"].isin(RESTRICTED)]
        if len(restricted):
            faults += [fault for each in notebooks for fault in pixel_faults(each)]
        faults += text_faults(built, records)
    return faults


def data_folder(notebook: Path) -> Path | None:
    """The folder of records that an executed notebook read, or None if it has no such parameter."""
    declared = papermill.inspect_notebook(str(notebook))
    if "data" not in declared:
        return None
    given = nbformat.read(notebook, as_version=4).metadata.get("papermill", {})
    value = given.get("parameters", {}).get("data", declared["data"]["default"].strip("\"'"))
    return (notebook.parents[2] / "notebooks" / value).resolve()


def pixel_faults(notebook: Path) -> list[str]:
    """Cells of an executed notebook that draw images of restricted records."""
    return [
        f"{notebook.name}, cell {number}: draws pixels ({call}) of restricted records"
        for number, cell in enumerate(nbformat.read(notebook, as_version=4).cells, start=1)
        for call in DRAWS_PIXELS
        if cell.cell_type == "code" and re.search(rf"\b{call}\(", cell.source) and cell.outputs
    ]


def text_faults(built: Path, records: pd.DataFrame) -> list[str]:
    """Identifiers, sentences and altered text of ``records`` on the pages under ``built``."""
    restricted = records[records["access"].isin(RESTRICTED)]
    identifiers = set(_identifiers(restricted))
    sentences = set(_long(restricted["sentences"]))
    derived = records[records["access"] == NO_DERIVATIVES]
    altered = set(_long(derived["prompts"])) - set(_long(derived["sentences"]))
    faults = []
    for page in sorted(built.rglob("*.html")):
        words = _words(html.unescape(_HIDDEN.sub(" ", page.read_text("utf-8", errors="replace"))))
        where = page.relative_to(built)
        if found := identifiers & set(words):
            faults.append(f"{where}: {len(found)} identifiers of restricted records")
        kinds = {"sentences of restricted": sentences, "altered text of no-derivatives": altered}
        for kind, texts in kinds.items():
            if count := _contained(words, texts):
                faults.append(f"{where}: {count} {kind} records")
    return faults


def _identifiers(records: pd.DataFrame) -> Iterator[str]:
    for column in ("study_id", "patient_id", "image"):
        for value in records[column]:
            name = Path(value).stem.lower() if column == "image" else value.lower()
            if len(name) >= _LEAST_IDENTIFIER:
                yield name


def _long(texts: pd.Series) -> Iterator[tuple[str, ...]]:
    for each in texts:
        for text in each:
            if len(words := _words(text)) >= _LEAST_WORDS:
                yield tuple(words)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _contained(words: list[str], texts: Iterable[tuple[str, ...]]) -> int:
    """How many of ``texts`` stand on a page, whole and in order."""
    starts: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(words) - _LEAST_WORDS + 1):
        starts.setdefault(tuple(words[i : i + _LEAST_WORDS]), []).append(i)
    return sum(
        any(tuple(words[i : i + len(text)]) == text for i in starts.get(text[:_LEAST_WORDS], ()))
        for text in texts
    )
