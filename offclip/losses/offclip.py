"""OFF-CLIP's two terms: the off-diagonal loss and InfoNCE over abnormal pairs.

The paper's figure fixes the target matrix and that the two terms are added. It leaves open the
form of the off-diagonal term, the weights, the reduction and any balancing: here they are options.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offclip.losses._checks import (
    check_cells,
    check_choice,
    check_normal_flags,
    check_not_negative,
    check_numbers,
    check_square,
)
from offclip.losses.cross_entropy import info_nce, mean_where, row_cross_entropy
from offclip.losses.sigmoid import sigmoid_loss
from offclip.losses.targets import pair_targets
from offclip.scores import PairScores, full_precision

FORMS = ("bce", "soft_ce")
BALANCES = ("none", "classes")


def off_diagonal_loss(
    logits: Float[Tensor, "batch batch"],
    is_normal: Bool[Tensor, " batch"],
    *,
    form: str = "soft_ce",
    balance: str = "none",
    pair_weight: Float[Tensor, "batch batch"] | None = None,
    ignore: Bool[Tensor, "batch batch"] | None = None,
) -> Float[Tensor, ""]:
    """All normal image × normal text pairs are positives, as the diagonal is.

    Args:
        logits: scores, images in rows, texts in columns (either direction: the targets are
            symmetric), finite or -inf as in :func:`info_nce`.
        is_normal: one flag a study.
        form: ``"soft_ce"``: :func:`info_nce` with :func:`pair_targets`, where the positives of a
            row share its probability. ``"bce"``: :func:`sigmoid_loss` against
            :func:`pair_targets`, a question a cell. The paper does not say which; see chapter 8
            for both.
        balance: ``"classes"`` (ours) gives both kinds half of the loss: positive and negative
            cells for ``"bce"``, normal and abnormal rows and columns for ``"soft_ce"``.
        pair_weight: non-negative cell weights, see :func:`sigmoid_loss` for ``"bce"`` and
            :func:`info_nce` for ``"soft_ce"``.
        ignore: True where a cell counts nowhere: neither as a positive nor as a negative.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: an unknown form or balance, a wrong shape or dtype, an empty batch.
    """
    check_numbers("logits", logits)
    check_square(logits)
    check_normal_flags(is_normal, len(logits))
    check_cells("pair_weight", pair_weight, logits)
    check_cells("ignore", ignore, logits)
    check_choice("form", form, FORMS)
    check_choice("balance", balance, BALANCES)
    targets = pair_targets(is_normal).to(full_precision(logits).dtype)
    if form == "bce":
        if balance == "classes":
            pair_weight = _balanced_cells(targets, pair_weight, ignore)
        return sigmoid_loss(logits, targets, pair_weight=pair_weight, ignore=ignore)
    if balance == "none":
        return info_nce(logits, targets, pair_weight=pair_weight, ignore=ignore)
    if pair_weight is not None:
        targets = targets * pair_weight
    rows = _mean_over_kinds(logits, targets, ignore, is_normal)
    flipped = None if ignore is None else ignore.T
    return (rows + _mean_over_kinds(logits.T, targets.T, flipped, is_normal)) / 2


def _balanced_cells(targets: Tensor, pair_weight: Tensor | None, ignore: Tensor | None) -> Tensor:
    """Cell weights under which positives and negatives weigh the same in total."""
    weight = torch.ones_like(targets) if pair_weight is None else pair_weight
    if ignore is not None:
        weight = weight.masked_fill(ignore, 0.0)
    positive, negative = weight * targets, weight * (1 - targets)
    tiny = torch.finfo(weight.dtype).tiny
    return positive / positive.sum().clamp(min=tiny) + negative / negative.sum().clamp(min=tiny)


def _mean_over_kinds(
    logits: Tensor, targets: Tensor, ignore: Tensor | None, is_normal: Tensor
) -> Tensor:
    """Mean row cross-entropy of normal and of abnormal rows, averaged over those that count."""
    rows, counted = row_cross_entropy(logits, targets, ignore)
    kinds = [counted & is_normal, counted & ~is_normal]
    means = torch.stack([mean_where(rows, kind) for kind in kinds])
    return mean_where(means, torch.stack([kind.any() for kind in kinds]))


def abnormal_info_nce(
    logits: Float[Tensor, "batch batch"],
    is_normal: Bool[Tensor, " batch"],
    *,
    ignore: Bool[Tensor, "batch batch"] | None = None,
) -> Float[Tensor, ""]:
    """:func:`info_nce` on the abnormal rows and columns alone, with the diagonal as target.

    Source: the second term in the figure of the OFF-CLIP paper. With fewer than two abnormal
    studies there is nothing to tell apart: the result is a zero that can be differentiated.

    Args:
        logits: scores, images in rows, texts in columns.
        is_normal: one flag a study.
        ignore: True where a cell counts nowhere, such as two studies with the same finding.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: a wrong shape or dtype, an empty batch.
    """
    check_numbers("logits", logits)
    check_square(logits)
    check_normal_flags(is_normal, len(logits))
    check_cells("ignore", ignore, logits)
    abnormal = (~is_normal).nonzero().squeeze(1)  # waits for the device once
    if len(abnormal) < 2:
        return full_precision(logits)[:0].sum()
    inner = None if ignore is None else ignore[abnormal][:, abnormal]
    return info_nce(logits[abnormal][:, abnormal], ignore=inner)


@dataclass(frozen=True)
class OffClipLoss:
    """The weighted terms of :func:`offclip_loss`; ``total`` is their sum."""

    total: Float[Tensor, ""]
    off_diagonal: Float[Tensor, ""]
    abnormal: Float[Tensor, ""]


def offclip_loss(
    scores: PairScores,
    is_normal: Bool[Tensor, " batch"],
    *,
    form: str = "soft_ce",
    balance: str = "none",
    off_diagonal_weight: float = 1.0,
    abnormal_weight: float = 1.0,
    pair_weight: Float[Tensor, "batch batch"] | None = None,
    ignore: Bool[Tensor, "batch batch"] | None = None,
) -> OffClipLoss:
    """OFF-CLIP: the off-diagonal loss plus InfoNCE over abnormal pairs.

    Each term is the mean of the two directions of ``scores`` (CARZero adds its two; the factor 2
    is absorbed by the learning rate). The defaults are those that validation supports (chapter 8);
    the paper states neither form nor weights.

    Args:
        scores: both score matrices of a batch whose images and texts are paired by position.
        is_normal: one flag a study.
        form: of the off-diagonal term, see :func:`off_diagonal_loss`.
        balance: of the off-diagonal term, see :func:`off_diagonal_loss`.
        off_diagonal_weight: factor of the off-diagonal term, non-negative.
        abnormal_weight: factor of the abnormal InfoNCE, non-negative.
        pair_weight: of the off-diagonal term, images in rows, see :func:`off_diagonal_loss`.
        ignore: True where a cell counts in neither term, images in rows.

    Returns:
        The weighted terms and their sum, in nats.

    Raises:
        ValueError: a negative weight, a wrong shape, form or dtype, an empty batch.
    """
    check_not_negative("off_diagonal_weight", off_diagonal_weight)
    check_not_negative("abnormal_weight", abnormal_weight)
    pair = (scores.image_to_text, scores.text_to_image.T)
    cells = {"pair_weight": pair_weight, "ignore": ignore}
    terms = [
        off_diagonal_loss(each, is_normal, form=form, balance=balance, **cells) for each in pair
    ]
    off_diagonal = weighted(off_diagonal_weight, terms[0] + terms[1]) / 2
    terms = [abnormal_info_nce(each, is_normal, ignore=ignore) for each in pair]
    abnormal = weighted(abnormal_weight, terms[0] + terms[1]) / 2
    return OffClipLoss(off_diagonal + abnormal, off_diagonal, abnormal)


def weighted(weight: float, term: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """``weight · term``; a weight of 0 drops an infinite term as well."""
    return weight * (term if weight else term.masked_fill(term.isposinf(), 0.0))
