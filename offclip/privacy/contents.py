"""What a published file is: data, a table of single cases, a notebook on restricted records.

None of this needs a match with the local copy's text.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from offclip.privacy.local import RECORDS, LocalCopy
from offclip.privacy.notebooks import parameters_of, read_folders, restricted_datasets

IMAGES = frozenset((".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp"))
PAGE_FILES = IMAGES | {".ico", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".inv", ".mo"}
"""Binary files that a page consists of; any other one is refused."""
CASE_COLUMNS = ("study_id", "patient_id", "subject_id", "dicom_id", "image_id")
_CLASSIFIER = "classifier.json"


def read_text(path: Path) -> str | None:
    """The text of a file; None where it is not UTF-8 text."""
    content = path.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def refused(path: Path, text: str | None, data_folders: Iterable[Path]) -> str:
    """Why a file as a whole must not be published; "" if nothing stands against it.

    Args:
        path: of the file.
        text: of the file; None for a binary one.
        data_folders: folders of the tree that hold records.
    """
    suffix = path.suffix.lower()
    if suffix in IMAGES and any(path.is_relative_to(folder) for folder in data_folders):
        return f"image in a folder with {RECORDS}"
    if path.name == _CLASSIFIER:
        return "sentence classifier, whose features are words of reports"
    if text is None and suffix not in PAGE_FILES:
        return "data file (neither UTF-8 text nor an image or font of a page)"
    return ""


def single_cases(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """Place and kind of the rows of a CSV or JSON file that are about one case of a restricted set.

    Rows without the name of such a set as ``dataset`` are searched as text only. Of a table with a
    column of cases the first row is named.
    """
    for number, row in enumerate(_table(path, text), start=1):
        if not str(row.get("dataset")).startswith(restricted_datasets()):
            continue
        columns = [name for name in CASE_COLUMNS if name in row]
        if columns:
            yield f"row {number}", f"table of single cases (column {columns[0]})"
            return
        if str(row.get("n")) == "1":
            yield f"row {number}", "evidence about a single case (n = 1)"


def _table(path: Path, text: str) -> Iterator[dict[str, Any]]:
    if path.suffix.lower() == ".csv":
        with suppress(csv.Error):  # not a table: searched as text all the same
            yield from csv.DictReader(io.StringIO(text))
    elif path.suffix.lower() == ".json" and isinstance(value := _parsed(text), list):
        yield from (row for row in value if isinstance(row, dict))


def private_outputs(path: Path, text: str, copy: LocalCopy) -> Iterator[tuple[str, str]]:
    """Place and kind of the cells with outputs in a notebook that read restricted records."""
    notebook = _parsed(text) if path.suffix.lower() == ".ipynb" else None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return
    if set(read_folders(parameters_of(notebook), path)) & set(copy.private):
        for number, cell in enumerate(notebook["cells"], start=1):
            if cell.get("outputs"):
                yield f"cell {number}", "output of a notebook on restricted records"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
