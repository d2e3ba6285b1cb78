"""What a training step costs, and where."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

from offclip.models import PairModel
from offclip.training.config import TrainConfig
from offclip.training.objective import autocast, objective


def step_costs(
    model: PairModel, batch: Mapping[str, Tensor], config: TrainConfig, *, repeats: int = 5
) -> dict[str, float]:
    """Median seconds of the parts of a step: both towers, the head, the loss, the way back.

    The first round warms up and does not count. One process; gradients are left empty.

    Args:
        model: on the device that is measured.
        batch: ``images``, ``input_ids``, ``attention_mask`` and ``is_normal``.
        config: names the loss and the precision.
        repeats: rounds that count.
    """
    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    wait: Callable[[], Any] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times: dict[str, list[float]] = {}

    def timed(part: str, call: Callable[..., Any], *arguments: Any) -> Any:
        wait()
        start = time.perf_counter()
        made = call(*arguments)
        wait()
        times.setdefault(part, []).append(time.perf_counter() - start)
        return made

    model.train()
    for _ in range(1 + repeats):
        tokens = batch["input_ids"], batch["attention_mask"]
        with autocast(config, device):
            seen = timed("image tower", model.encode_images, batch["images"])
            read = timed("text tower", model.encode_texts, *tokens)
            scores = timed("head", model.head, seen, read)
        terms = timed("loss", objective, config, scores, batch["is_normal"])
        timed("backward", terms["total"].backward)
        model.zero_grad(set_to_none=True)
    return {part: median(taken[1:]) for part, taken in times.items()}
