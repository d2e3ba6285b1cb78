"""Label tables as published sets have them: all strings, errors that name the file."""

import difflib
import filecmp
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

BLANK = ("", "nan", "na", "n/a", "none", "null")
"""Spellings of "nothing here", lower-case."""
UNFINISHED = ".unpacking"
"""Ending of a folder that an archive is still unpacked into."""


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message that names the nearest of the known names; "" where none is known."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]!r}?" if close else ""


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


def find_parts(root: str | Path, names: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """The file of each part of a set that is there; one part is enough.

    Args:
        root: of the copy.
        names: part to the names that its file has, gzipped or not.

    Raises:
        FileNotFoundError: none is there; names all of them.
    """
    parts: dict[str, Path] = {}
    for part, own in names.items():
        with suppress(FileNotFoundError):
            parts[part] = find_file(root, *own)
    return parts or {"": find_file(root, *(name for own in names.values() for name in own))}


def read_table(
    path: str | Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Some columns of a CSV file in UTF-8, gzipped or not; strings without white space around them.

    Values may hold line breaks in quotes. A line with too few values ends in blanks.

    Args:
        path: of the file.
        columns: that have to be there.
        optional: that are read if they are there.

    Raises:
        ValueError: damaged, cut or no table, no rows, a line with too many values, or a column
            that is missing (the nearest is named) or occurs twice; names the file and the line.
    """
    try:  # all columns: with ``usecols``, pandas shifts or cuts a line with too many values
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: damaged, or no CSV table in UTF-8 ({' '.join(str(error).split())}); download "
            "it again, or save it as CSV in UTF-8"
        ) from error
    table.columns = table.columns.str.strip()
    _check_columns(table, columns, optional, path)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first values as an index
        raise ValueError(
            f"{path}, line 2: expected {table.shape[1]} values, as the header has, got more; "
            "download it again"
        )
    if table.empty:
        raise ValueError(f"{path}: expected rows, got the header alone; download it again")
    used = [name for name in table if name in (*columns, *optional)]
    if _is_cut(Path(path)) and table[used[-1]].iloc[-1] == "":
        raise ValueError(f"{path}: the last line is cut; download it again")
    table = table[[name for name in dict.fromkeys((*columns, *optional)) if name in used]]
    return table.apply(lambda column: column.str.strip())


def read_text(path: Path) -> str:
    """A whole text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it cannot be read, or is not UTF-8; names the file.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: no text in UTF-8 ({error}); download it again") from error


def _check_columns(
    table: pd.DataFrame, columns: Sequence[str], optional: Sequence[str], path: str | Path
) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        hint = nearest(missing[0], table.columns[:200])
        if table.shape[1] == 1 and ";" in table.columns[0]:
            hint = "; its values are separated by semicolons: save it with commas"
        raise ValueError(
            f"{path}: expected the columns {tuple(columns)}, got none called {missing}{hint}; "
            "is it the published file?"
        )
    twice = [name for name in (*columns, *optional) if f"{name}.1" in table]  # as pandas names it
    if twice:
        raise ValueError(f"{path}: expected each column once, got {twice} twice; repair the header")


def _is_cut(path: Path) -> bool:
    """Whether a plain file ends within a line; gzip notices it itself."""
    if path.suffix == ".gz":
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() not in (b"\n", b"\r", b",")


def label_maps(
    table: pd.DataFrame, names: Sequence[str], *, uncertain: float = -1.0
) -> tuple[list[dict[str, int | None]], Bool[np.ndarray, " row"]]:
    """Labels of each row, and which rows have a value that is none.

    1 for "1", null for ``uncertain``, 0 for "0" and for blanks. Other values are errors. Equal rows
    share one map: a table of millions has a few thousand.
    """
    values = numbers(table, names)
    blank = is_blank(table[list(names)])
    wrong = np.any(~(blank | np.isin(values, (0.0, 1.0, uncertain))), axis=1)
    known = np.where(values == uncertain, None, (values == 1).astype(int).astype(object))
    shared: dict[tuple[int | None, ...], dict[str, int | None]] = {}
    rows = map(tuple, known)
    return [shared.setdefault(row, dict(zip(names, row, strict=True))) for row in rows], wrong


def numbers(table: pd.DataFrame, names: Sequence[str]) -> Float[np.ndarray, "row column"]:
    """Columns as floats, NaN where a value is no finite number."""
    values = table[list(names)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def is_blank(table: pd.DataFrame) -> Bool[np.ndarray, "row column"]:
    """Which values are spellings of "nothing here"."""
    return table.apply(lambda column: column.str.lower().isin(BLANK)).to_numpy(dtype=bool)


def mark(rows: pd.DataFrame, wrong: pd.Series | np.ndarray | Sequence[bool], reason: str) -> None:
    """Write why rows are left out, in place; the first reason stays."""
    rows.loc[(rows["reason"] == "") & np.asarray(wrong, dtype=bool), "reason"] = reason


def train_or_validation(ids: Sequence[str], share: int) -> np.ndarray:
    """The split of each id where none is given: "validation" for one in ``share``, by id alone."""
    chosen = [zlib.crc32(str(each).encode()) % share == 0 for each in ids]
    return np.where(np.array(chosen, dtype=bool), "validation", "train")


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
    paths: dict[str, list[str]] = {}
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(each for each in inside if not each.endswith(UNFINISHED))
        for name in names:
            if name.lower().endswith(tuple(suffixes)):
                path = (Path(folder) / name).relative_to(root).as_posix()
                paths.setdefault(name, []).append(path)
    places, ambiguous = {name: several[0] for name, several in paths.items()}, set()
    for name, several in paths.items():
        if len(several) == 1:
            continue
        own = [path for path in several if published(path)]
        files = [Path(root) / path for path in several]
        if len(own) == 1:
            places[name] = own[0]
        elif not all(each.is_file() and filecmp.cmp(files[0], each, False) for each in files):
            ambiguous.add(name)
    return places, ambiguous
