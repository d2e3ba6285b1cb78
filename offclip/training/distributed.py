"""Contrastive scores over all processes: pooled vectors and blocks of scores travel, nothing else.

Every process computes the loss of the whole batch, see :mod:`offclip.losses.gather`.
"""

import os
import sys
from datetime import timedelta
from functools import cache
from typing import Any, NoReturn

import torch
from accelerate import PartialState
from jaxtyping import Float
from torch import Tensor, nn

from offclip.losses.gather import gathered, processes
from offclip.models import Features
from offclip.models.heads import CosineHead, CrossAttentionHead
from offclip.scores import PairScores, full_precision

LONGEST_WAIT = timedelta(days=1)
"""How long a process waits for the others.

The first one validates, scores and renders while they wait; NCCL's ten minutes are too short for
that. A process that fails ends at once, so that nobody waits for it.
"""


def process_state() -> PartialState:
    """This process among those that were started together; it joins their group.

    Among several, an error that nobody catches is reported and ends the process at once, see
    :func:`hard_exit`.

    Raises:
        RuntimeError: the launcher started several, and they do not find together.
    """
    state = PartialState(cpu=not torch.accelerator.is_available(), timeout=LONGEST_WAIT)
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != state.num_processes:
        raise RuntimeError(
            f"processes: the launcher started {started}, but this one is in a group of "
            f"{state.num_processes}; start them with torchrun or accelerate launch, before "
            "anything else of this package or of accelerate was used"
        )
    if started > 1:
        _exit_hard_on_errors()
    return state


@cache
def _exit_hard_on_errors() -> None:
    report = sys.excepthook

    def report_and_exit(*error: Any) -> None:
        report(*error)
        hard_exit(1)

    sys.excepthook = report_and_exit


def hard_exit(code: int) -> NoReturn:
    """End this one of several processes at once; the launcher then ends the others.

    An orderly exit waits for collectives under way. These wait for the other processes, which may
    wait for this one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def global_scores(
    head: CosineHead | CrossAttentionHead, images: Features, texts: Features
) -> PairScores:
    """Scores of all images with all texts of all processes.

    Each process asks its own images and texts for all pooled vectors of the other side. Patches
    and words stay where they are.
    """
    if processes() == 1:
        scores: PairScores = head(images, texts)
        return scores
    return PairScores(
        gathered(head.rows(images, gathered(texts.pooled))),
        gathered(head.rows(texts, gathered(images.pooled))),
    )


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes, equally many images in each.

    :class:`torch.nn.SyncBatchNorm` does the same but refuses the CPU.
    """

    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def forward(
        self, input: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        if not self.training or processes() == 1:
            return super().forward(input)
        values = full_precision(input)
        mean = _global_mean(values.mean(dim=(0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = _global_mean(centred.square().mean(dim=(0, 2, 3)))
        with torch.no_grad():
            count = processes() * input.numel() / input.shape[1]
            self.num_batches_tracked.add_(1)
            momentum = self.momentum or 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


def _global_mean(values: Tensor) -> Tensor:
    return gathered(values[None]).mean(dim=0)


def use_global_statistics(model: nn.Module) -> None:
    """Replace every batch normalisation inside ``model`` by :class:`GlobalBatchNorm2d`."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                new = GlobalBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
                new.load_state_dict(child.state_dict())
                setattr(parent, name, new.to(child.weight.device, child.weight.dtype))
