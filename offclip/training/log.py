"""What is said of a run on the way: facts of each step, an entry and a line of each validation."""

from statistics import fmean

import torch

from offclip.training.checkpoint import Metrics, Progress
from offclip.training.config import TrainConfig
from offclip.training.watch import memory_gib

NO_TERMS = ("gradient_norm", "seconds")  # of what is noted of a step


def step_facts(
    progress: Progress, config: TrainConfig, rate: float, device: torch.device
) -> dict[str, float]:
    """What :data:`Watch` gets after a step."""
    latest = progress.since[-1]
    losses = {f"loss_{name}": value for name, value in latest.items() if name not in NO_TERMS}
    pace = fmean(entry["seconds"] for entry in progress.since[-20:])
    return {
        **losses,
        "gradient_norm": latest["gradient_norm"],
        "learning_rate": rate,
        "studies_per_second": config.batch_size * config.accumulate / pace,
        "memory_gib": memory_gib(device),
        "seconds_left": pace * (config.steps - progress.step),
    }


def log_entry(progress: Progress, metrics: dict[str, float], facts: dict[str, float]) -> Metrics:
    """A line of the log."""
    means = {name: fmean(step[name] for step in progress.since) for name in progress.since[0]}
    losses = {f"loss_{name}": mean for name, mean in means.items() if name not in NO_TERMS}
    norm = means["gradient_norm"]
    costs = {name: facts[name] for name in ("learning_rate", "studies_per_second", "memory_gib")}
    return {
        "step": progress.step, **losses, "gradient_norm": norm, **metrics, **costs,
        "seconds": progress.seconds,
    }  # fmt: skip


def report_line(entry: Metrics, config: TrainConfig) -> str:
    """The entry for a reader at the terminal."""
    return (
        f"step {entry['step']:>5.0f}/{config.steps}  loss {entry['loss_total']:.3f}  "
        f"{config.select} {entry[config.select]:.3f}  {entry['seconds']:.0f} s"
    )
