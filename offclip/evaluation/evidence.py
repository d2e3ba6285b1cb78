"""Evidence records: every number of the book, with what it takes to get it again."""

import dataclasses
import json
import math
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from offclip.files import check_target, write_text


@dataclass(frozen=True)
class Record:
    """One number. Fields as fixed for every record of the project.

    Attributes:
        dataset: manifest name.
        split: ``test`` (on rendered data: drawable cases), ``test_all``, ``validation``, ….
        variant: loss and filter, such as ``infonce+filter``.
        prompting: ``raw`` or ``prompted``; None where no text is involved.
        head: ``cosine``, ``cross_attention`` or None.
        metric: name of the metric.
        detail: prompt, class, ``mean``, or what the metric compares.
        seed: of the run; None for values over seeds.
        value: the number.
        unit: ``""`` for shares and AUC.
        interval: 95 % interval, or None.
        interval_method: how the interval was made, or None.
        n: images (or sentences, …) the number rests on.
        config: hash of the configuration.
        commit: of the code.
        device: machine.
        minutes: of computing behind the number.
    """

    dataset: str
    split: str
    variant: str
    prompting: str | None
    head: str | None
    metric: str
    detail: str
    seed: int | None
    value: float
    unit: str
    interval: tuple[float, float] | None
    interval_method: str | None
    n: int
    config: str
    commit: str
    device: str
    minutes: float


def write_evidence(path: str | Path, records: Iterable[Record]) -> Path:
    """Write records as a JSON list, floats rounded to 6 digits.

    Raises:
        ValueError: a value is not finite, or the file is there and holds something else, or records
            of other datasets alone.
    """
    records = list(records)
    check_record(path)
    before = set(read_evidence(path)["dataset"]) if Path(path).exists() else set()
    datasets = {record.dataset for record in records}
    if before and datasets and not before & datasets:
        raise ValueError(
            f"{path}: expected a file for records of {', '.join(sorted(datasets))}, got one with "
            f"records of {', '.join(sorted(before))}; give another name"
        )
    rows = []
    for record in records:
        if not math.isfinite(record.value):
            raise ValueError(
                f"value: expected a finite number, got {record.value} for {record.variant}, "
                f"{record.metric} ({record.detail}); leave out what cannot be measured"
            )
        row = dataclasses.asdict(record)
        row["value"] = round(record.value, 6)
        row["minutes"] = round(record.minutes, 2)
        if record.interval is not None:
            row["interval"] = [round(bound, 6) for bound in record.interval]
        rows.append(row)
    lines = ",\n".join(_compact(row) for row in rows)
    return write_text(path, f"[\n{lines}\n]\n")


def check_record(path: str | Path) -> None:
    """Refuse a file for evidence that holds something else, before anything is measured.

    Raises:
        ValueError: it does.
        OSError: nothing can be written there.
    """
    check_target(path, ours=_is_evidence)


def _is_evidence(path: Path) -> bool:
    try:
        read_evidence(path)
    except (OSError, ValueError, TypeError):
        return False
    return True


def _compact(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_evidence(*paths: str | Path) -> pd.DataFrame:
    """Records of one or several files as a table.

    Raises:
        ValueError: a file is not a list of records with exactly the fields of :class:`Record`.
    """
    fields = [field.name for field in dataclasses.fields(Record)]
    rows = []
    for path in paths:
        try:
            records = json.loads(Path(path).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}: not JSON ({error}); write it again with its command"
            ) from error
        if not isinstance(records, list):
            raise ValueError(f"{path}: expected a list of records, got {type(records).__name__}")
        for record in records:
            if sorted(record) != sorted(fields):
                odd = sorted(set(record) ^ set(fields))
                raise ValueError(f"{path}: a record has missing or unknown fields {odd}")
        rows += records
    return pd.DataFrame(rows, columns=fields)


def commit_of_code() -> str:
    """Short hash of the checkout's commit, ``+`` behind it if files differ, or ``unknown``."""
    folder = Path(__file__).parents[1]
    try:
        head = _git(folder, "rev-parse", "--short=10", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def device_name(device: torch.device | str = "cpu") -> str:
    """Where something was computed: the GPU's name, or the CPU's and the threads in use."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads"
