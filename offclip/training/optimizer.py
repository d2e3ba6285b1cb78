"""The optimizer with its parameter groups, and the average of weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from offclip.training.config import TrainConfig

Tensors = tuple[Tensor, ...] | list[Tensor]
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


def new_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Of all parameters; what ``config.decayed`` leaves out is a group without weight decay.

    Biases, norms and the logarithm of the scale are the parameters with fewer than two axes.
    """
    parameters = list(model.parameters())
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if config.decayed == "weights":
        groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return OPTIMIZERS[config.optimizer](
        groups, lr=config.learning_rate, weight_decay=config.weight_decay
    )


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and buffers; whole numbers are copied."""
    average = get_ema_multi_avg_fn(decay)

    def average_or_copy(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        """Of tensors of one dtype."""
        if averaged[0].is_floating_point():
            average(averaged, current, updates)
        else:
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=average_or_copy, use_buffers=True)
