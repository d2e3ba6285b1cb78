"""A record: one number of the book, with what it takes to compute it again."""

import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import torch

from offclip.evaluation.metrics import Interval


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


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What all records of one run share, or of several runs that a number is over.

    Attributes:
        dataset: manifest name.
        variant: loss and filter, such as ``infonce+filter``, or what else is compared.
        setting: what differs from the default, or None.
        prompting: ``raw`` or ``prompted``; None where no text is involved.
        head: ``cosine``, ``cross_attention`` or None.
        seed: of the run; None for values over seeds.
        config: hash of the configuration; of several runs all hashes, with commas.
        commit: of the code.
        device: machine.
        minutes: of computing behind a number.
    """

    dataset: str
    variant: str
    setting: str | None = None
    prompting: str | None = None
    head: str | None = None
    seed: int | None = None
    config: str = ""
    commit: str = field(default_factory=commit_of_code)
    device: str = field(default_factory=device_name)
    minutes: float = 0.0

    def record(
        self,
        split: str,
        metric: str,
        detail: str,
        value: float | Interval,
        n: int,
        *,
        unit: str = "",
        interval: tuple[float, float] | None = None,
        method: str | None = None,
    ) -> "Record":
        """A record of one number of this run; for all arguments see :class:`Record`.

        Args:
            value: the number, or the number with its interval.
            method: how the interval was made; counts only where there is one.
        """
        if isinstance(value, Interval):
            interval, value = (value.low, value.high), value.value
        return Record(
            **vars(self),
            split=split,
            metric=metric,
            detail=detail,
            value=float(value),
            unit=unit,
            interval=interval,
            interval_method=None if interval is None else method,
            n=n,
        )


@dataclass(frozen=True, kw_only=True)
class Record(RunInfo):
    """One number of a run.

    Attributes:
        split: ``test`` (on rendered data: drawable cases), ``test_all``, ``validation``, ….
        metric: name of the metric.
        detail: prompt, class, ``mean``, or what the metric compares.
        value: the number.
        unit: ``""`` for shares and AUC.
        interval: 95 % interval, or None.
        interval_method: how the interval was made, or None.
        n: images (or sentences, …) the number rests on.
    """

    split: str
    metric: str
    detail: str
    value: float
    unit: str
    interval: tuple[float, float] | None
    interval_method: str | None
    n: int
