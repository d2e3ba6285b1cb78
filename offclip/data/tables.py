"""Label tables as published sets have them: all strings, faults named. Imports nothing else."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


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


def read_table(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file, gzipped or not, with or without a byte order mark; every value a string.

    White space around the names of columns is dropped.

    Args:
        path: of the file.
        columns: that have to be there.

    Raises:
        ValueError: damaged, no table, or a column is missing; names the file.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: damaged, or no table ({error}); download it again") from error
    table = table.rename(columns=str.strip)
    missing = [each for each in columns if each not in table]
    if missing:
        raise ValueError(
            f"{path}: expected the columns {tuple(columns)}, got none called {missing}; "
            "is it the published file?"
        )
    return table


def label_maps(
    table: pd.DataFrame, names: Sequence[str], *, uncertain: float = -1.0
) -> list[dict[str, int | None]]:
    """Labels of each row: 1 for "1", null for ``uncertain``, 0 for the rest, blanks too."""
    values = table[list(names)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    known = np.where(values == uncertain, None, (values == 1).astype(int).astype(object))
    return [dict(zip(names, row, strict=True)) for row in known]


def mark(rows: pd.DataFrame, wrong: pd.Series | np.ndarray, reason: str) -> None:
    """Write why rows are left out, in place; the first reason stays."""
    rows.loc[(rows["reason"] == "") & np.asarray(wrong, dtype=bool), "reason"] = reason


def held_out(ids: Sequence[str], share: int) -> np.ndarray:
    """One id in ``share``, chosen by the id alone: for a validation split where none is given."""
    return np.array([zlib.crc32(str(each).encode()) % share == 0 for each in ids], dtype=bool)


def images_below(root: str | Path, suffixes: Sequence[str]) -> dict[str, str]:
    """File name to path below ``root``, for sets whose tables give names alone.

    Links to folders are not followed. Of files with one name, the first in order of paths counts.
    """
    found: dict[str, str] = {}
    for folder, inside, names in Path(root).walk():
        inside.sort()
        for name in sorted(names):
            if name.lower().endswith(tuple(suffixes)):
                found.setdefault(name, (folder / name).relative_to(root).as_posix())
    return found
