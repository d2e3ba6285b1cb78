"""Weights and progress on disk, written atomically; pickles are read with ``weights_only``."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
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


def save_weights(path: str | Path, model: nn.Module) -> None:
    """Write the model's state dict as safetensors."""
    with atomic_path(path) as temporary:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, temporary)


def load_weights(path: str | Path, model: nn.Module) -> None:
    """Load weights into ``model``; every key has to match.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is corrupt, or its keys or shapes are not the model's.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no weights here; train first or give another folder")
    try:
        model.load_state_dict(load_file(path))
    except Exception as error:
        raise ValueError(f"{path}: not the weights of this model ({error})") from error


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
