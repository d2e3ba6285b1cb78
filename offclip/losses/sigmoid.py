"""SigLIP's loss: every cell is a binary question of its own."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from offclip.losses._checks import check_cells, check_numbers
from offclip.scores import full_precision

NEVER = -1e4  # in place of -inf, of which PyTorch's cross-entropy is NaN; its sigmoid is 0 as well


def sigmoid_loss(
    logits: Float[Tensor, "image text"],
    targets: Float[Tensor, "image text"],
    *,
    pair_weight: Float[Tensor, "image text"] | None = None,
    ignore: Bool[Tensor, "image text"] | None = None,
) -> Float[Tensor, ""]:
    r"""Weighted mean over cells of the binary cross-entropy of :math:`\sigma(S_{ij})`.

    .. math::
        \mathcal{L} = -\frac{\sum_{ij} w_{ij} \left[ Y_{ij} \log \sigma(S_{ij})
            + (1 - Y_{ij}) \log \sigma(-S_{ij}) \right]}{\sum_{ij} w_{ij}}

    Source: Zhai et al. 2023 (SigLIP). Deviations: SigLIP sums over cells and divides by the number
    of rows, here it is a mean over cells, so that its size does not grow with the batch; scale and
    bias belong to the head.

    Args:
        logits: scores, finite or -inf; half precision is computed in float32. A negative of -inf
            costs nothing; a positive of -inf costs +inf, without NaN in the gradient.
        targets: in [0, 1].
        pair_weight: ``w``, non-negative; default: 1 everywhere.
        ignore: True where a cell counts nowhere.

    Returns:
        A scalar in nats; a differentiable zero if no cell has weight.

    Raises:
        ValueError: the shapes differ, or ``logits`` is empty or holds whole numbers.
    """
    check_numbers("logits", logits)
    for name, cells in (("targets", targets), ("pair_weight", pair_weight), ("ignore", ignore)):
        check_cells(name, cells, logits)
    logits = full_precision(logits)
    weight = torch.ones_like(logits) if pair_weight is None else pair_weight.to(logits.dtype)
    if ignore is not None:
        weight = weight.masked_fill(ignore, 0.0)
        logits = logits.masked_fill(ignore, 0.0)
    targets = targets.to(logits.dtype)
    never = logits.isneginf()
    finite = torch.where(never, NEVER, logits)
    cells = binary_cross_entropy_with_logits(finite, targets, reduction="none")
    total = weight.sum()
    mean = (weight * cells).sum() / torch.where(total > 0, total, torch.ones_like(total))
    lost = (never & (weight * targets > 0)).any()
    return mean + torch.zeros_like(mean).masked_fill(lost, torch.inf)
