"""Rows of all processes that train together, with their gradient.

Every process then computes the loss of the whole batch, as every score stands in the denominators
of others. So gradients that are averaged over processes, as those of
:class:`torch.nn.parallel.DistributedDataParallel` are, equal those of one process on the whole
batch.
"""

from typing import Any

import torch
from torch import Tensor, distributed


def processes() -> int:
    """How many processes train together."""
    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


class _Gather(torch.autograd.Function):
    """Rows of all processes in their order; backward, what all processes ask of one's own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.size = len(rows)
        whole = rows.new_empty(processes() * len(rows), *rows.shape[1:])
        distributed.all_gather(list(whole.chunk(processes())), rows.contiguous())
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        distributed.all_reduce(whole)
        start = distributed.get_rank() * ctx.size
        return whole[start : start + ctx.size]


def gathered(rows: Tensor) -> Tensor:
    """Rows of all processes, which have equally many; with one process the rows as they are."""
    if processes() == 1:
        return rows
    whole: Tensor = _Gather.apply(rows)
    return whole
