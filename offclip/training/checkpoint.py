"""Progress on disk, written atomically; pickles are read with ``weights_only``."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from offclip.files import atomic_path, write_text

Metrics = dict[str, float | int]


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    seconds: float = 0.0
    best: Metrics = field(default_factory=dict)
    log: list[Metrics] = field(default_factory=list)


def save_progress(
    folder: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write ``last.pt`` (for going on) and then ``log.jsonl`` (for people)."""
    state = {
        "progress": vars(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }
    with atomic_path(folder / "last.pt") as temporary:
        torch.save(state, temporary)
    lines = "".join(json.dumps(entry) + "\n" for entry in progress.log)
    write_text(folder / "log.jsonl", lines)


def resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load ``last.pt`` into model and optimizer if there is one; return the progress.

    The random state of the moment of saving is restored as well.

    Raises:
        ValueError: the file is there but cannot be read.
    """
    path = folder / "last.pt"
    if not path.exists():
        return Progress()
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except Exception as error:
        raise ValueError(f"{path}: cannot go on from it ({error}); remove {folder}") from error
    torch.set_rng_state(state["rng"])
    return Progress(**state["progress"])
