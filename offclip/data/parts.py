"""Work cut into parts whose results stay on disk: what they are, and what an earlier call left."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

Part: TypeAlias = tuple[int, list[str]]
"""Number of the first row, and the names of all."""


def cut(names: Sequence[str], size: int) -> Iterator[Part]:
    """Parts of ``size`` names, the last one smaller."""
    for start in range(0, len(names), size):
        yield start, list(names[start : start + size])


def rows_before(path: Path, column: str, names: list[str]) -> list[dict[str, Any]]:
    """Rows that an earlier call left of these very names; none if it left none, or others."""
    try:
        part = pd.read_parquet(path)
    except (OSError, ValueError):
        return []
    if column not in part or part[column].tolist() != names:
        return []
    return [{str(key): value for key, value in row.items()} for row in part.to_dict("records")]
