"""The learning rate of a step: a function of settings, step and validations so far."""

import math
from collections.abc import Sequence

import torch

from offclip.training.config import TrainConfig

FACTOR = 0.5  # of the learning rate at each plateau; CARZero's


def learning_rate(config: TrainConfig, step: int, judged: Sequence[float] = ()) -> float:
    """Linear warm-up over ``warmup · steps`` steps, then the schedule of ``config``.

    Args:
        config: settings.
        step: from 0 on.
        judged: ``config.select`` of every validation so far, for ``schedule="plateau"``; what is
            not finite counts as no validation.
    """
    warmup = config.warmup * config.steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "plateau":
        return _after_plateaus(config, judged)
    done = (step - warmup) / max(1.0, config.steps - warmup)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


def _after_plateaus(config: TrainConfig, judged: Sequence[float]) -> float:
    """What PyTorch's scheduler makes of these validations, played through from the first."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=config.learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=FACTOR, patience=config.patience, threshold=0.0
    )
    for value in filter(math.isfinite, judged):
        scheduler.step(value)
    return float(optimizer.param_groups[0]["lr"])
