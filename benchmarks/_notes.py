"""What the speed benchmarks have in common: options, a clock that waits, records on the way."""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from offclip.evaluation import (
    Record,
    RunInfo,
    commit_of_code,
    config_hash,
    device_name,
    write_evidence,
)

_RUN = {field.name for field in dataclasses.fields(RunInfo)}
ROUNDS = "smallest and largest of the rounds"


def speed_parser(doc: str | None, *, device: str = "cpu") -> argparse.ArgumentParser:
    """Options that every speed benchmark takes."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default=device)
    parser.add_argument("--record", type=Path, help="file for the evidence")
    parser.add_argument("--commit", help="of the code, where the checkout came without git")
    return parser


def clean_commit() -> str:
    """Hash of the code's commit; numbers of record come from a checkout without changes."""
    commit = commit_of_code()
    if commit.endswith("+") or commit == "unknown":
        raise ValueError(f"commit: expected a clean checkout, got {commit}; commit, then measure")
    return commit


class Notes:
    """Evidence records of one benchmark: printed as they come, and written after each.

    Args:
        options: of :func:`speed_parser`.
        settings: what else the numbers depend on.
        given: arguments of ``RunInfo`` and ``RunInfo.record`` that are the same for all.
    """

    def __init__(self, options: argparse.Namespace, settings: dict[str, Any], **given: Any):
        commit = options.commit or (clean_commit() if options.record else "")
        self._path, self._start = options.record, time.perf_counter()
        self._records: list[Record] = []
        self._info = replace(
            RunInfo(
                dataset="random", variant="ours", seed=0, config=config_hash(settings),
                commit=commit, device=device_name(options.device),
            ),
            **{name: value for name, value in given.items() if name in _RUN},
        )  # fmt: skip
        self._given = {name: value for name, value in given.items() if name not in _RUN}

    def add(self, metric: str, value: float, unit: str = "", **given: Any) -> None:
        """One number; ``given`` are further arguments, as for all."""
        fields = {"split": "none", "detail": "", "n": 0, **self._given, **given}
        own = {name: fields.pop(name) for name in _RUN & fields.keys()}
        minutes = (time.perf_counter() - self._start) / 60
        info = replace(self._info, minutes=minutes, **own)
        record = info.record(metric=metric, value=value, unit=unit, **fields)
        low, high = record.interval or (None, None)
        bounds = "" if low is None else f" [{low:.4g}, {high:.4g}]"
        print(f"{record.detail:58} {record.variant:17} {metric:28} {value:10.4g} {unit}{bounds}",
              flush=True)  # fmt: skip
        self._records = [replace(each, minutes=minutes) for each in [*self._records, record]]
        if self._path:
            write_evidence(self._path, self._records)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(device: str, call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, the device's queue included."""
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - start


Ratio = tuple[float, float, float, float]


def ratios(
    device: str,
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    units: Mapping[str, int] | None = None,
) -> dict[str, Ratio]:
    """By name: median seconds, ratio of the last call's median to its own, lowest and highest.

    The calls alternate. ``units``: how many a call does, if seconds are to be for one of them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(device, call) / (units[name] if units else 1))
    peer = list(times.values())[-1]
    found = {}
    for name, each in times.items():
        quotients = [b / a for a, b in zip(each, peer, strict=True)]
        median = statistics.median(each)
        ratio = statistics.median(peer) / median
        found[name] = (median, ratio, min(quotients), max(quotients))
    return found
