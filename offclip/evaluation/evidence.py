"""Evidence on disk: ``<study>.csv`` has one row per number, ``runs.csv`` one row per run.

The numbers of a study name their run by its row number; ``runs.csv`` in the same folder has, for
all studies of the folder, what the numbers of a run share. :func:`read_evidence` joins the two.
"""

import csv
import dataclasses
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd
from filelock import FileLock

from offclip.evaluation.records import Record, RunInfo
from offclip.files import atomic_path, check_target

RUNS = "runs.csv"
_RUN = [field.name for field in dataclasses.fields(RunInfo)] + ["interval_method"]
_RUN_COLUMNS = ["study", "run", *_RUN]
_COLUMNS = ["run", "split", "metric", "detail", "value", "unit", "low", "high", "n"]
_FIELDS = (
    "dataset split variant setting prompting head metric detail seed value unit low high "
    "interval_method n config commit device minutes"
).split()
_MAY_LACK = ("setting", "prompting", "head", "interval_method")


def evidence_table(records: Iterable[Record]) -> pd.DataFrame:
    """Records as a table, one row each, with the columns of :func:`read_evidence`."""
    rows = [dataclasses.asdict(record) for record in records]
    for row in rows:
        row["low"], row["high"] = row.pop("interval") or (math.nan, math.nan)
    types = dict.fromkeys(("seed", "value", "low", "high", "minutes"), float) | {"n": int}
    return pd.DataFrame(rows, columns=_FIELDS).astype(types)


def write_evidence(path: str | Path, records: Iterable[Record] | pd.DataFrame) -> Path:
    """Write the records of one study to ``path``, and their runs to ``runs.csv`` next to it.

    Both files change together, and other studies in ``runs.csv`` stay. Values and bounds have 6
    digits, minutes 2.

    Args:
        path: a CSV file; one with records of the same dataset is replaced.
        records: records, or a table of :func:`read_evidence`.

    Raises:
        ValueError: a value is not finite; or one of the two files holds something else, or
            ``path`` records of other datasets alone.
    """
    path = Path(path)
    table = records if isinstance(records, pd.DataFrame) else evidence_table(records)
    _check_values(table)
    check_record(path)
    table = table.astype({"seed": "Int64"})
    for name in ("value", "low", "high", "minutes"):
        digits = 2 if name == "minutes" else 6
        table[name] = [round(number, digits) for number in table[name]]
    shared = [name for name in _RUN if name != "interval_method"]
    methods = table.groupby(shared, dropna=False, sort=False)["interval_method"]
    table["interval_method"] = table["interval_method"].fillna(methods.transform("first"))
    table["run"] = table.groupby(_RUN, dropna=False, sort=False).ngroup()
    table["study"] = path.stem
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f".{RUNS}.lock"):
        others = _other_runs(path, set(table["dataset"]))
        runs = pd.concat([others, table.drop_duplicates("run")[_RUN_COLUMNS].astype("string")])
        runs = runs.sort_values("study", kind="stable")
        with atomic_path(path) as numbers_file, atomic_path(path.with_name(RUNS)) as runs_file:
            table.to_csv(numbers_file, columns=_COLUMNS, index=False, lineterminator="\n")
            runs.to_csv(runs_file, index=False, lineterminator="\n")
    return path


def _check_values(table: pd.DataFrame) -> None:
    """Refuse values that are not finite."""
    wrong = table[~table["value"].map(math.isfinite)]
    if len(wrong):
        first = wrong.iloc[0]
        raise ValueError(
            f"value: expected a finite number, got {first['value']} for {first['variant']}, "
            f"{first['metric']} ({first['detail']}); leave out what cannot be measured"
        )


def _other_runs(path: Path, datasets: set[str]) -> pd.DataFrame:
    """The runs of the other studies of a folder; refuses to replace a study of other datasets."""
    runs_path = path.with_name(RUNS)
    if not runs_path.exists():
        return pd.DataFrame(columns=_RUN_COLUMNS, dtype="string")
    runs = _read_csv(runs_path, _RUN_COLUMNS)
    own = runs["study"] == path.stem
    before = set(runs[own]["dataset"])
    if path.exists() and before and datasets and not before & datasets:
        raise ValueError(
            f"{path}: expected a file for records of {', '.join(sorted(datasets))}, got one with "
            f"records of {', '.join(sorted(before))}; give another name"
        )
    return runs[~own]


def check_record(path: str | Path) -> None:
    """Refuse a file for evidence that holds something else, before anything is measured.

    Raises:
        ValueError: it does, or the ``runs.csv`` next to it; or it has no name for a study.
        OSError: nothing can be written there.
    """
    path = Path(path)
    if path.suffix != ".csv" or path.name == RUNS:
        raise ValueError(
            f"{path}: expected the name of a CSV file other than {RUNS}, such as "
            f"{path.with_name('evidence.csv')}"
        )
    check_target(path, ours=partial(_has_header, _COLUMNS))
    check_target(path.with_name(RUNS), ours=partial(_has_header, _RUN_COLUMNS))


def _has_header(columns: list[str], path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().strip() == ",".join(columns).encode()


def read_evidence(*paths: str | Path) -> pd.DataFrame:
    """Records of one or several studies as a table, one row per number, in the order of the files.

    Columns ``dataset, split, variant, setting, prompting, head, metric, detail, seed, value, unit,
    low, high, interval_method, n, config, commit, device, minutes``. Null are ``setting`` where
    nothing differs from the default, ``seed`` of values over seeds, and what does not apply.

    Args:
        *paths: CSV files with ``runs.csv`` next to them, or folders: all studies in it, by name.

    Raises:
        FileNotFoundError: a file, or its ``runs.csv``, is missing.
        ValueError: a file does not hold records; names the file and the row.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        files += [file for file in inside if file.name != RUNS]
    runs = {folder: _read_runs(folder / RUNS) for folder in {file.parent for file in files}}
    tables = [_read_study(file, runs[file.parent]) for file in files]
    return pd.concat(tables, ignore_index=True) if tables else evidence_table([])


def _read_runs(path: Path) -> pd.DataFrame:
    runs = _read_csv(path, _RUN_COLUMNS)
    runs["seed"] = _numbers(path, runs["seed"], optional=True)
    runs["minutes"] = _numbers(path, runs["minutes"])
    for name in _MAY_LACK:
        runs[name] = runs[name].where(runs[name] != "", None)
    return runs


def _read_study(path: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """The numbers of one study, each with what ``runs`` records about its run."""
    table = _read_csv(path, _COLUMNS)
    own = runs[runs["study"] == path.stem].set_index("run")
    unknown = ~table["run"].isin(own.index)
    if unknown.any():
        row = unknown.idxmax()
        raise ValueError(
            f"{path}, row {row + 2}: expected a run that {path.with_name(RUNS)} lists for "
            f"{path.stem!r}, got {table['run'][row]!r}; take both files from one place"
        )
    for name in ("value", "low", "high"):
        table[name] = _numbers(path, table[name], optional=name != "value")
    table["n"] = _numbers(path, table["n"]).astype(int)
    table = table.join(own, on="run")
    table["interval_method"] = table["interval_method"].where(table["low"].notna(), None)
    return table[_FIELDS]


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV file of text; refuses other columns, and rows with more or fewer values."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: expected a file of records, got nothing; {RUNS} belongs to the CSV files "
            "next to it"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file of records ({error})") from error
    if header != columns:
        expected, got = ",".join(columns), ",".join(header)
        raise ValueError(f"{path}, row 1: expected the columns {expected}, got {got or 'none'}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise ValueError(
                f"{path}, row {number}: expected {len(columns)} values, got {len(row)}"
            )
    return pd.DataFrame(rows, columns=columns, dtype=str)


def _numbers(path: Path, column: pd.Series, *, optional: bool = False) -> pd.Series:
    """Text as floats, exactly; an empty one, where it is optional, as NaN."""
    numbers = []
    for row, text in enumerate(column, start=2):
        try:
            number = math.nan if optional and not text else float(text)
        except ValueError:
            number = math.inf
        if math.isinf(number) or (math.isnan(number) and text):
            raise ValueError(f"{path}, row {row}: {column.name}: expected a number, got {text!r}")
        numbers.append(number)
    return pd.Series(numbers, index=column.index, dtype=float)
