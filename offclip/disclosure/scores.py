"""Scores of single images on pages: numbers that follow each other as they do in a table of scores.

A table is one of restricted records if one of its rows is named by an identifier of theirs. The
numbers of a page count as its scores when at least four of them follow each other as values of a
column or of rows do, rounded to the digits that the page shows. With few digits, or large tables,
four may agree by accident; then more are asked for, so that less than one accident in a hundred
tables is to be expected. Numbers with one digit behind the point, and plots, are not looked at.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from offclip.disclosure.identifiers import left_out, without_ending
from offclip.disclosure.local import (
    IMAGES,
    LEFT_OUT,
    RECORDS,
    LocalCopy,
    batches,
    hashed,
    restricted,
)
from offclip.disclosure.numbers import Printed, rounded
from offclip.disclosure.words import Lookup, hash_runs

LEAST, MOST = 4, 16
"""Numbers of a run: at least so many; where more were needed, accidents say nothing."""
ACCIDENTS = 0.01
_DIGITS = range(2, 7)
_NO_SCORES = (RECORDS, LEFT_OUT, IMAGES)
_ROWS = 65_536
_CSV: dict[str, Any] = {
    "dtype": str, "keep_default_na": False, "chunksize": _ROWS, "on_bad_lines": "skip",
    "encoding_errors": "replace",
}  # fmt: skip
_Table = tuple[list[np.ndarray], np.ndarray]


def find_scores(printed: Printed, copy: LocalCopy) -> dict[int, int]:
    """How many numbers of each file are scores of single restricted images."""
    counts: dict[int, int] = {}
    if not copy.private or not len(printed.values):
        return counts
    owned = _names(copy)
    for path in _tables(copy):
        for names, values in _read(path):
            if not values.size or not any(owned.has(each).any() for each in names):
                continue
            for digits in _DIGITS:
                for file, count in _matches(printed, values, digits).items():
                    counts[file] = max(counts.get(file, 0), count)
    return counts


def _matches(printed: Printed, values: np.ndarray, digits: int) -> dict[int, int]:
    marks = rounded(values, digits)
    length = _length(marks, sum(len(each[1]) for each in printed.runs(digits, LEAST)))
    if not length:
        return {}
    asked = printed.lookup(digits, length)
    runs = [hash_runs(column, length) for column in (*marks.T, marks.ravel())]
    hits = [each[asked.has(each)] for each in runs]
    return printed.files(Lookup(np.concatenate(hits)), digits, length)


def _length(marks: np.ndarray, asked: int) -> int:
    """Numbers of a run that agree by accident too rarely to matter; 0: there is no such length.

    Values that are spread like the table's agree with chance sum(p^2).
    """
    if not asked:
        return 0
    _, counts = np.unique(marks, return_counts=True)
    agree = float(((counts / marks.size) ** 2).sum())
    pairs = 2 * marks.size * asked
    lengths = (n for n in range(LEAST, MOST + 1) if pairs * agree**n <= ACCIDENTS)
    return next(lengths, 0)


def _names(copy: LocalCopy) -> Lookup:
    """Hashes of what may name a row: studies, patients, and files of images."""
    found = [np.zeros(0, np.uint64)]
    for folder in copy.private:
        for batch in batches(folder / RECORDS, ("study_id", "patient_id", "image", "access")):
            study, patient, image, _ = batch.filter(restricted(batch)).columns
            found += [hashed(study), hashed(patient), _file(image)]
        for study, image in left_out(folder):
            found += [hashed(study), _file(image)]
    return Lookup(np.concatenate(found))


def _file(paths: pa.Array) -> np.ndarray:
    """Hashes of the names of files, without folder and ending; of no path, none."""
    paths = paths.filter(pc.not_equal(paths, ""))
    return hashed(without_ending(pc.replace_substring_regex(paths, "^.*/", "")))


def _tables(copy: LocalCopy) -> Iterator[Path]:
    for folder in copy.given:
        for path in sorted(folder.rglob("*")):
            table = path.suffix in (".parquet", ".csv") and path.name not in _NO_SCORES
            if table and path.is_file():
                yield path


def _read(path: Path) -> Iterator[_Table]:
    """Columns of names, and the matrix of the decimal columns, some thousand rows at a time."""
    try:
        if path.suffix == ".csv":
            if path.stat().st_size:
                yield from map(_split, pd.read_csv(path, **_CSV))
            return
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                yield _split(batch.to_pandas().reset_index())
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: a damaged table ({error}); remove or repair it") from error


def _split(part: pd.DataFrame) -> _Table:
    """Hashes of columns with text or whole numbers, which may be names; decimals are values."""
    names, values = [], []
    for _, column in part.items():
        if pd.api.types.is_float_dtype(column):
            values.append(column.to_numpy(float))
        elif pd.api.types.is_integer_dtype(column):
            names.append(hashed(pa.array(column.astype(str), pa.string())))
        elif len(column) and isinstance(column.iloc[0], str):
            numbers = pd.to_numeric(column, errors="coerce")
            decimal = column.str.contains(".", regex=False).any() and numbers.notna().any()
            texts = pa.array(column.fillna("").astype(str), pa.string())
            names += [hashed(texts), _file(texts)]
            if decimal:
                values.append(numbers.to_numpy(float))
    return names, np.stack(values, axis=1) if values else np.zeros((0, 0))
