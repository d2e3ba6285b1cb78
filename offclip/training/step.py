"""One step of the optimiser, over one or several batches."""

from collections.abc import Iterator
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from offclip.training.config import TrainConfig
from offclip.training.faults import stop_not_finite
from offclip.training.stream import Batch


def take_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    config: TrainConfig,
    accelerator: Accelerator,
    step: int,
    folder: Path,
) -> dict[str, float]:
    """One step of the optimiser: means of the loss's terms over its batches, and gradient norm."""
    # Random numbers are a function of the step, so that there is no state of theirs to resume.
    own = np.random.SeedSequence((config.seed, step, accelerator.process_index))
    torch.manual_seed(int(own.generate_state(1)[0]))
    module.train()
    optimizer.zero_grad(set_to_none=True)
    path = folder / f"not_finite_{accelerator.process_index}.json"
    terms: list[dict[str, Tensor]] = []
    studies: list[list[object]] = []
    for number in range(config.accumulate):
        batch = dict(next(batches))
        studies.append(list(batch.pop("ids")))
        last = number == config.accumulate - 1
        with nullcontext() if last else accelerator.no_sync(module):
            losses = module(**batch)
            accelerator.backward(losses["total"] / config.accumulate)
        terms.append({name: term.detach() for name, term in losses.items()})
    norm = accelerator.clip_grad_norm_(module.parameters(), config.clip_norm)
    values, gradient_norm = _read(terms, norm)
    for each, ids in zip(values, studies, strict=True):
        if not isfinite(each["total"]):
            stop_not_finite("loss", each["total"], each, ids, step, config, path)
    facts = {name: fmean(each[name] for each in values) for name in values[0]}
    facts["gradient_norm"] = gradient_norm
    if not isfinite(gradient_norm):
        every = [study for ids in studies for study in ids]
        stop_not_finite("gradient norm", gradient_norm, facts, every, step, config, path)
    optimizer.step()
    return facts


def _read(terms: list[dict[str, Tensor]], norm: Tensor) -> tuple[list[dict[str, float]], float]:
    """Terms of each batch and the gradient norm as numbers: the one wait for the device a step."""
    *values, last = torch.stack([*(t for each in terms for t in each.values()), norm]).tolist()
    left = iter(values)
    return [{name: next(left) for name in each} for each in terms], last
