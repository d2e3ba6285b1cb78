"""A user's own copy: where its records are, and which of them may not be shown.

Everything is read in batches: what is kept in memory does not grow with the texts of a set.
Imports the access classes of ``offclip.text``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import UInt64

from offclip.text.destination import OPEN_ACCESS, RESTRICTED_ACCESS

NO_DERIVATIVES = OPEN_ACCESS[1]
RECORDS, LEFT_OUT = "records.parquet", "left_out.parquet"
PICTURES, IMAGES, CLASSIFIER = "pictures.npy", "images.parquet", "classifier.json"
_BATCH = 16_384


@dataclass(frozen=True)
class LocalCopy:
    """Folders of records, by what their records allow.

    Attributes:
        given: the folders that were named.
        restricted: number of registration and credentialed records in each folder of records.
    """

    given: tuple[Path, ...]
    restricted: dict[Path, int]

    @property
    def private(self) -> list[Path]:
        """Folders with a record that may not be shown."""
        return [folder for folder, count in self.restricted.items() if count]

    @property
    def open(self) -> list[Path]:
        """Folders without one."""
        return [folder for folder, count in self.restricted.items() if not count]


def local_copy(folders: Iterable[str | Path], *, without: str = "") -> LocalCopy:
    """Find every ``records.parquet`` at and below the folders.

    Args:
        folders: of records, or above them.
        without: records that lie beside a file of this name are left out; "": all count.

    Raises:
        FileNotFoundError: a folder is not there, or has no records.
        ValueError: a file of records is damaged or lacks a column; names it.
    """
    given = tuple(Path(folder).resolve() for folder in folders)
    found: dict[Path, int] = {}
    for folder in given:
        paths = sorted(folder.rglob(RECORDS))
        if not paths:
            raise FileNotFoundError(
                f"records: expected {RECORDS} in {folder} or below, got none; name the folder "
                "that curate wrote"
            )
        for path in paths:
            if without and (path.parent / without).exists():
                continue
            marks = [restricted(batch) for batch in batches(path, ("access",))]
            found[path.parent] = int(sum(pc.sum(mark).as_py() or 0 for mark in marks))
    return LocalCopy(given, found)


def holds_restricted(folder: Path) -> bool:
    """Whether records lie in this folder of which one may not be shown."""
    path = folder / RECORDS
    return path.exists() and any(
        pc.any(restricted(each)).as_py() for each in batches(path, ("access",))
    )


def batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """These columns of a Parquet file, some thousand rows at a time.

    Raises:
        ValueError: the file is damaged or lacks a column; names it.
    """
    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise ValueError(f"{path}: expected the columns {list(columns)}, {missing} missing")
            for batch in file.iter_batches(_BATCH, columns=list(columns)):
                yield pa.record_batch([_plain(batch.column(n)) for n in columns], list(columns))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: damaged Parquet file ({error}); curate again") from error


def _plain(column: pa.Array) -> pa.Array:
    """Strings and lists of strings in their common form, without nulls among strings."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.cast(column, pa.list_(pa.string()))
    return pc.fill_null(pc.cast(column, pa.string()), "")


def restricted(batch: pa.RecordBatch) -> pa.Array:
    """Which records are registration or credentialed."""
    return pc.is_in(batch.column("access"), pa.array(RESTRICTED_ACCESS))


def hashed(values: pa.Array) -> UInt64[np.ndarray, " value"]:
    """A number for each string."""
    return pd.util.hash_array(values.to_numpy(zero_copy_only=False).astype(object))
