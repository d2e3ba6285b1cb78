"""Progress on disk, written atomically; pickles are read with ``weights_only``.

The newest checkpoint is ``last.pt``, the one before it ``previous.pt``. Batches, schedule and
random numbers are functions of the step: weights, optimiser and log are all there is to keep.
"""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from offclip.files import atomic_path, write_text

Metrics = dict[str, float | int]
LAST, PREVIOUS = "last.pt", "previous.pt"


@runtime_checkable
class Stateful(Protocol):
    """A model, an optimiser, an average of weights."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything that has to be kept."""
        ...

    def load_state_dict(self, state: Any) -> object:
        """Go on from such a state."""
        ...


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    seconds: float = 0.0
    best: Metrics = field(default_factory=dict)
    log: list[Metrics] = field(default_factory=list)
    since: list[dict[str, float]] = field(default_factory=list)
    """Loss terms of the steps since the last validation."""


def save_progress(folder: Path, progress: Progress, parts: Mapping[str, Stateful]) -> None:
    """Write ``last.pt`` (for going on) and then ``log.jsonl`` (for people)."""
    state = {"progress": vars(progress)} | {n: part.state_dict() for n, part in parts.items()}
    with atomic_path(folder / LAST) as temporary:
        torch.save(state, temporary)
        if (folder / LAST).exists():
            os.replace(folder / LAST, folder / PREVIOUS)
    lines = "".join(json.dumps(entry) + "\n" for entry in progress.log)
    write_text(folder / "log.jsonl", lines)


def resume(folder: Path, parts: Mapping[str, Stateful]) -> Progress:
    """Load the newest readable checkpoint into ``parts``, if there is one; return the progress.

    A damaged ``last.pt`` is told in a warning, and the one before it is taken.

    Raises:
        ValueError: there are checkpoints, but none can be read.
    """
    problems = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            for name, part in parts.items():
                part.load_state_dict(state[name])
            progress = Progress(**state["progress"])
        except Exception as error:
            problems.append(f"{path}: cannot go on from it ({str(error).partition('. ')[0]})")
            continue
        if problems:
            warnings.warn(f"{problems[0]}; going on from {path}", stacklevel=2)
        return progress
    if problems:
        raise ValueError(f"{'; '.join(problems)}; remove {folder} to start anew")
    return Progress()
