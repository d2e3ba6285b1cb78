"""Label tables as published sets have them: all strings, faults named. Imports nothing else."""

import csv
import filecmp
import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

LINE_LIMIT = 1_000_000
"""Longest line of a table, in characters; the longest of the real ones has some 6,000."""
TABLE_LIMIT = 2_000_000_000
"""Largest table, in characters, unpacked: a small archive can hold a large one."""
TEXT_LIMIT = 100_000_000
"""Largest list or JSON file, in bytes."""
BLANK = ("", "nan", "na", "n/a", "none", "null")
"""Spellings of "nothing here", lower-case."""
UNFINISHED = ".unpacking"
"""Ending of a folder that an archive is still unpacked into."""


def find_file(root: str | Path, *names: str) -> Path:
    """The first of these files below ``root`` that is there, gzipped or not.

    Raises:
        FileNotFoundError: none is; names all of them.
    """
    for name in names:
        for path in (Path(root) / name, Path(root) / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"{root}: expected {' or '.join(names)}, gzipped or not, as the published set has it; "
        "give --root the folder that holds it"
    )


def read_table(
    path: str | Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Some columns of a CSV file in UTF-8, gzipped or not, with or without a byte order mark.

    Every value is a string without white space around it. Values may hold line breaks in quotes;
    lines may end in any way; blank lines are skipped. Memory is that of the columns asked for.

    Args:
        path: of the file.
        columns: that have to be there.
        optional: that are read if they are there.

    Raises:
        ValueError: damaged or no table, no rows, a column is missing or there twice, or a line has
            too few or too many values; names the file and the line.
    """
    reader = None
    try:
        with _opened(Path(path)) as file:
            reader = csv.reader(_lines(file, path), strict=True)
            header = [name.strip() for name in next(reader, [])]
            places = _places(header, columns, optional, path)
            pick, width = itemgetter(*places.values(), 0), len(header)  # 0: always a tuple
            rows = []
            for row in reader:
                if len(row) != width and row:
                    _check_width(row, header, places, f"{path}, line {reader.line_num}")
                if row:
                    rows.append(pick(row))
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
        where = f", line {reader.line_num}" if reader else ""
        raise ValueError(
            f"{path}{where}: damaged, or no table in UTF-8 ({error}); download it again"
        ) from error
    if not rows:
        raise ValueError(f"{path}: expected rows, got the header alone; download it again")
    values = zip(places, zip(*rows, strict=True), strict=False)
    return pd.DataFrame(
        {name: [value.strip() for value in column] for name, column in values}, dtype=str
    )


def read_text(path: Path) -> str:
    """A whole text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: too large, or not UTF-8; names the file.
    """
    try:
        if path.stat().st_size > TEXT_LIMIT:
            raise ValueError(
                f"{path}: expected at most {TEXT_LIMIT} bytes; is it the published file?"
            )
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: no text in UTF-8 ({error}); download it again") from error


def _opened(path: Path) -> TextIOWrapper:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _lines(file: TextIOWrapper, path: str | Path) -> Iterator[str]:
    """Lines that fit into memory and hold no null character."""
    total = 0
    while line := file.readline(LINE_LIMIT + 1):
        total += len(line)
        if len(line) > LINE_LIMIT or total > TABLE_LIMIT or "\0" in line:
            raise csv.Error(
                f"expected lines of at most {LINE_LIMIT} and a table of at most {TABLE_LIMIT} "
                "characters, none of them null"
            )
        yield line


def _places(
    header: Sequence[str], columns: Sequence[str], optional: Sequence[str], path: str | Path
) -> dict[str, int]:
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(
            f"{path}: expected the columns {tuple(columns)}, got none called {missing}; "
            "is it the published file?"
        )
    wanted = [name for name in dict.fromkeys((*columns, *optional)) if name in header]
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise ValueError(f"{path}: expected each column once, got {twice} twice; repair the header")
    return {name: header.index(name) for name in wanted}


def _check_width(
    row: Sequence[str], header: Sequence[str], places: Mapping[str, int], where: str
) -> None:
    if len(row) <= max(places.values(), default=0) or any(row[len(header) :]):
        raise ValueError(
            f"{where}: expected {len(header)} values, got {len(row)}; the file is cut or damaged: "
            "download it again"
        )


def label_maps(
    table: pd.DataFrame, names: Sequence[str], *, uncertain: float = -1.0
) -> tuple[list[dict[str, int | None]], Bool[np.ndarray, " row"]]:
    """Labels of each row, and which rows have a value that is none.

    1 for "1", null for ``uncertain``, 0 for "0" and for blanks. Other values are faults. Rows alike
    share one map: a table of millions has a few thousand.
    """
    text = table[list(names)]
    values = text.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    blank = text.apply(lambda column: column.str.lower().isin(BLANK)).to_numpy(dtype=bool)
    wrong = ~(blank | np.isin(values, (0.0, 1.0, uncertain))).all(axis=1)
    known = np.where(values == uncertain, None, (values == 1).astype(int).astype(object))
    shared: dict[tuple[int | None, ...], dict[str, int | None]] = {}
    for row in map(tuple, known):
        if row not in shared:
            shared[row] = dict(zip(names, row, strict=True))
    return [shared[row] for row in map(tuple, known)], wrong


def numbers(table: pd.DataFrame, names: Sequence[str]) -> Float[np.ndarray, "row column"]:
    """Columns as floats, NaN where a value is no number."""
    values = table[list(names)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def mark(rows: pd.DataFrame, wrong: pd.Series | np.ndarray | Sequence[bool], reason: str) -> None:
    """Write why rows are left out, in place; the first reason stays."""
    rows.loc[(rows["reason"] == "") & np.asarray(wrong, dtype=bool), "reason"] = reason


def held_out(ids: Sequence[str], share: int) -> np.ndarray:
    """One id in ``share``, chosen by the id alone: for a validation split where none is given."""
    return np.array([zlib.crc32(str(each).encode()) % share == 0 for each in ids], dtype=bool)


def images_below(
    root: str | Path, suffixes: Sequence[str], published: Callable[[str], bool] = lambda path: False
) -> tuple[dict[str, str], set[str]]:
    """Images by file name, for sets whose tables give names alone.

    Of several files with one name, the one at its published place counts. If not exactly one is
    there, and they are the same byte for byte, the first in order of paths counts; if they differ,
    the name is ambiguous. Links to folders are not followed, unfinished folders are skipped.

    Args:
        root: of the copy.
        suffixes: of image files, lower-case.
        published: whether a path below the root is where the set has this file.

    Returns:
        File name to path below ``root``; and the names that are ambiguous.
    """
    found: dict[str, list[str]] = {}
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(each for each in inside if not each.endswith(UNFINISHED))
        for name in sorted(names):
            if name.lower().endswith(tuple(suffixes)):
                path = (Path(folder) / name).relative_to(root).as_posix()
                found.setdefault(name, []).append(path)
    places = {name: paths[0] for name, paths in found.items()}
    ambiguous = set()
    for name, paths in found.items():
        own = [path for path in paths if published(path)] if len(paths) > 1 else paths
        if len(own) == 1:
            places[name] = own[0]
        elif not all(_same(Path(root) / paths[0], Path(root) / each) for each in paths[1:]):
            ambiguous.add(name)
    return places, ambiguous


def _same(first: Path, second: Path) -> bool:
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError:  # a link that leads nowhere, or a file that may not be read
        return False
