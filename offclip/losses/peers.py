"""Losses of other papers, to compare with: CARZero, MedCLIP, SupCon's "in" form."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offclip.losses._checks import check_cells, check_numbers
from offclip.losses.cross_entropy import info_nce, mean_where, row_softmax
from offclip.losses.targets import semantic_targets
from offclip.scores import PairScores


def carzero_loss(scores: PairScores) -> Float[Tensor, ""]:
    """Sum of :func:`info_nce` over the two directions of the scores.

    Source: CARZero (Lai et al. 2024), training loss of the published code. Losses of this package
    average the two directions, so this one is twice ``info_nce`` for a cosine head.

    Args:
        scores: both score matrices of a batch paired by position.

    Returns:
        A scalar in nats, ``2 log B`` for B equal scores.
    """
    return info_nce(scores.image_to_text) + info_nce(scores.text_to_image)


def medclip_loss(
    logits: Float[Tensor, "image text"],
    image_labels: Float[Tensor, "image label"],
    text_labels: Float[Tensor, "text label"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """:func:`info_nce` with soft targets from labels: the semantic matching loss of MedCLIP.

    Source: Wang et al. 2022; images and texts need not be paired. The targets are
    :func:`semantic_targets`. Deviations: a ``temperature`` (the paper has 1); the last published
    code replaces the softmax by a sigmoid cross-entropy, for which take
    ``sigmoid_loss(logits, targets)``.

    Args:
        logits: scores, images in rows, texts in columns.
        image_labels: label vector of each image, such as a multi-hot row as floats.
        text_labels: label vector of each text.
        temperature: of the soft targets, positive.

    Returns:
        A scalar in nats. Its least value is the entropy of the soft targets, not 0.

    Raises:
        ValueError: the temperature is not positive, or the shapes differ.
    """
    return info_nce(logits, semantic_targets(image_labels, text_labels, temperature=temperature))


def supcon_in_loss(
    logits: Float[Tensor, "image text"],
    targets: Float[Tensor, "image text"],
    *,
    ignore: Bool[Tensor, "image text"] | None = None,
) -> Float[Tensor, ""]:
    r"""Several positives a row, averaged inside the logarithm (SupCon's "in" form).

    .. math::
        -\frac1N \sum_i \log \sum_j \frac{Y_{ij}}{\sum_l Y_{il}}
            \frac{e^{S_{ij}}}{\sum_l e^{S_{il}}}

    and the mean of this over rows and over columns. Source: Khosla et al. 2020, who prefer the
    "out" form, which is :func:`info_nce` with the same targets. By Jensen's inequality "in" is
    never above "out"; both have the floor log k for k positives. Above it, "in" is content with
    one strong positive a row, "out" asks for all. Deviation: images against texts in place of
    views against views, so a pair's own cell counts.

    Args:
        logits: scores, finite or -inf; half precision is computed in float32. A row costs +inf if
            all its positives are -inf.
        targets: non-negative. Rows and columns without a positive count nowhere.
        ignore: True where a cell counts nowhere: neither as a positive nor in the softmax.

    Returns:
        A scalar in nats, 0 if there is nothing to count.

    Raises:
        ValueError: the shapes differ, or ``logits`` is empty or holds whole numbers.
    """
    check_numbers("logits", logits)
    check_cells("targets", targets, logits)
    check_cells("ignore", ignore, logits)
    flipped = None if ignore is None else ignore.T
    rows = _mean_inside(logits, targets, ignore)
    return (rows + _mean_inside(logits.T, targets.T, flipped)) / 2


def _mean_inside(logits: Tensor, targets: Tensor, ignore: Tensor | None) -> Tensor:
    log_probabilities, shares, counted, impossible = row_softmax(logits, targets, ignore)
    least = torch.finfo(shares.dtype).min
    positives = (log_probabilities + shares.log()).masked_fill(shares == 0, least)
    lost = counted & ~((shares > 0) & ~impossible).any(dim=1)
    return mean_where(-positives.logsumexp(dim=1).masked_fill(lost, -torch.inf), counted)
