"""A user's own copy: where its records are, and which of them may not be shown.

Records are read in batches of some thousand rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from offclip.text.destination import RESTRICTED_ACCESS

RECORDS, LEFT_OUT = "records.parquet", "left_out.parquet"
_BATCH = 16_384


@dataclass(frozen=True)
class LocalCopy:
    """Folders of records, by what their records allow.

    Attributes:
        restricted: number of registration and credentialed records in each folder of records.
    """

    restricted: dict[Path, int]

    @property
    def private(self) -> list[Path]:
        """Folders with a record that may not be shown."""
        return [folder for folder, count in self.restricted.items() if count]


def local_copy(folders: Iterable[str | Path], *, without: str = "") -> LocalCopy:
    """Every ``records.parquet`` at and below the folders.

    Args:
        folders: of records, or above them.
        without: records next to a file of this name are left out; "": all count.

    Raises:
        FileNotFoundError: a folder is not there, or has no records.
        ValueError: a file of records is damaged or lacks a column; names it.
    """
    counts: dict[Path, int] = {}
    for folder in map(Path, folders):
        paths = sorted(folder.resolve().rglob(RECORDS))
        if not paths:
            raise FileNotFoundError(
                f"records: expected {RECORDS} in {folder} or below, got none; name the folder "
                "that curate wrote"
            )
        kept = [path for path in paths if not (without and (path.parent / without).exists())]
        counts |= {path.parent: _restricted(path) for path in kept}
    return LocalCopy(counts)


def holds_restricted(folder: Path) -> bool:
    """Whether the folder holds records of which one may not be shown."""
    path = folder / RECORDS
    return path.exists() and _restricted(path) > 0


def _restricted(path: Path) -> int:
    return sum(access in RESTRICTED_ACCESS for (access,) in rows(path, ("access",)))


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a Parquet file, as one value per column.

    Raises:
        ValueError: the file is damaged or lacks a column; names it.
    """
    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise ValueError(f"{path}: expected the columns {list(columns)}, {missing} missing")
            for batch in file.iter_batches(_BATCH, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: damaged Parquet file ({error}); curate again") from error
