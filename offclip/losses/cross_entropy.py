"""InfoNCE with one or several positives a row."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offclip.losses._checks import check_cells, check_numbers, check_square
from offclip.scores import full_precision


def info_nce(
    logits: Float[Tensor, "image text"],
    targets: Float[Tensor, "image text"] | None = None,
    *,
    pair_weight: Float[Tensor, "image text"] | None = None,
    ignore: Bool[Tensor, "image text"] | None = None,
) -> Float[Tensor, ""]:
    r"""Symmetric cross-entropy between the softmax of the scores and the targets.

    .. math::
        \mathcal{L} = \tfrac12 \left(
            -\frac1N \sum_{ij} \frac{Y_{ij}}{\sum_l Y_{il}}
                \log \frac{e^{S_{ij}}}{\sum_l e^{S_{il}}}
            \;-\; \frac1N \sum_{ij} \frac{Y_{ij}}{\sum_l Y_{lj}}
                \log \frac{e^{S_{ij}}}{\sum_l e^{S_{lj}}}
        \right)

    With ``targets=None`` this is CLIP's loss, and the loss that CARZero applies to each of its two
    score matrices (:func:`offclip.losses.carzero_loss`). With several positives a row or column,
    their targets are normalised to sum 1 in it (SupCon's "out" form;
    :func:`offclip.losses.supcon_in_loss` is the other). Any temperature belongs to the head.

    Args:
        logits: scores, finite or -inf; half precision is computed in float32. A negative of -inf
            costs nothing; a positive of -inf costs +inf, without NaN in the gradient.
        targets: non-negative; default: the identity. Rows and columns without a positive count
            nowhere.
        pair_weight: non-negative; the positives of a row share its target in these proportions.
            It changes nothing where a row has one positive, unless it is 0 there.
        ignore: True where a cell counts nowhere: neither as a positive nor in the softmax.

    Returns:
        A scalar in nats, 0 if there is nothing to count.

    Raises:
        ValueError: ``logits`` is not square and no targets are given, it is empty or holds whole
            numbers, or the shapes differ.
    """
    check_numbers("logits", logits)
    if targets is None:
        check_square(logits)
        targets = torch.eye(len(logits), device=logits.device)
    for name, cells in (("targets", targets), ("pair_weight", pair_weight), ("ignore", ignore)):
        check_cells(name, cells, logits)
    if pair_weight is not None:
        targets = targets * pair_weight
    rows, counted_rows = row_cross_entropy(logits, targets, ignore)
    flipped = None if ignore is None else ignore.T
    columns, counted_columns = row_cross_entropy(logits.T, targets.T, flipped)
    return (mean_where(rows, counted_rows) + mean_where(columns, counted_columns)) / 2


def row_cross_entropy(
    logits: Float[Tensor, "row column"],
    targets: Float[Tensor, "row column"],
    ignore: Bool[Tensor, "row column"] | None = None,
) -> tuple[Float[Tensor, " row"], Bool[Tensor, " row"]]:
    """Cross-entropy of each row, and which rows have a positive at all.

    Ignored cells leave both the softmax and the targets. A row without a positive gives 0.
    """
    log_probabilities, shares, counted, impossible = row_softmax(logits, targets, ignore)
    rows = -(shares * log_probabilities).sum(dim=1)
    return rows.masked_fill(impossible.any(dim=1), torch.inf), counted


def row_softmax(
    logits: Float[Tensor, "row column"],
    targets: Float[Tensor, "row column"],
    ignore: Bool[Tensor, "row column"] | None = None,
) -> tuple[
    Float[Tensor, "row column"],
    Float[Tensor, "row column"],
    Bool[Tensor, " row"],
    Bool[Tensor, "row column"],
]:
    """Log-probabilities of each row, its targets scaled to sum 1, and which rows have a positive.

    The targets of a row without a positive stay 0. The log-probabilities of ignored cells and of
    scores of -inf are low and finite, as 0 · -inf would be NaN. So there is a last matrix: which
    positives have a score of -inf.
    """
    logits = full_precision(logits)
    targets = targets.to(logits.dtype)
    never = logits.isneginf()
    floor = torch.finfo(logits.dtype).min / 4  # a quarter: minus a log-sum-exp it is finite too
    if ignore is None:
        logits = logits.masked_fill(never, floor)
    else:
        logits = logits.masked_fill(never | ignore, floor)
        targets = targets.masked_fill(ignore, 0.0)
    mass = targets.sum(dim=1, keepdim=True)
    counted = mass.squeeze(1) > 0
    shares = targets / torch.where(counted[:, None], mass, torch.ones_like(mass))
    return logits.log_softmax(dim=1), shares, counted, never & (shares > 0)


def mean_where(values: Float[Tensor, " row"], counted: Bool[Tensor, " row"]) -> Float[Tensor, ""]:
    """Mean of the counted values; a differentiable zero if none is counted."""
    return values.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)
