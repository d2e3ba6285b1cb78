"""Losses of large batches for a cosine head, without the N×N score matrix.

Each equals its plain counterpart on ``scale · images @ texts.T + bias``, in value and gradient.
The targets are a diagonal and one block of normals, so they are never built as a matrix either.
For a batch of N pairs and features of length D the memory is that of ``chunk_size × N + N × D``
numbers; the price is that the backward pass makes the scores a second time.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offclip.losses._checks import (
    check_choice,
    check_normal_flags,
    check_not_negative,
    check_numbers,
    check_positive,
    check_whole,
)
from offclip.losses._chunks import cell_log_sums, sigmoid_cell_sum
from offclip.losses.offclip import BALANCES, FORMS, OffClipLoss, weighted
from offclip.scores import full_precision

Scalar = Float[Tensor, ""] | Float[Tensor, "1"] | float


def chunked_info_nce(
    image_features: Float[Tensor, "batch dim"],
    text_features: Float[Tensor, "batch dim"],
    logit_scale: Scalar,
    logit_bias: Scalar | None = None,
    *,
    chunk_size: int = 1024,
) -> Float[Tensor, ""]:
    """:func:`offclip.losses.info_nce` of a cosine head, pairs by position.

    Args:
        image_features: of unit length; half precision is computed in float32.
        text_features: of unit length.
        logit_scale: factor on the cosines, already exponentiated, positive.
        logit_bias: added to every score. A softmax does not see it, its gradient is 0.
        chunk_size: rows of the score matrix held at once.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: shapes that differ, a scale or chunk size that is not positive.
    """
    images, texts, scale, bias = _inputs(
        image_features, text_features, logit_scale, logit_bias, chunk_size
    )
    everyone = images.new_full((len(images),), 1 / len(images))
    positives = (images * texts).sum(dim=1)
    return _cross_entropy(images, texts, scale, positives, everyone, chunk_size) + _unseen(bias)


def chunked_off_diagonal_loss(
    image_features: Float[Tensor, "batch dim"],
    text_features: Float[Tensor, "batch dim"],
    logit_scale: Scalar,
    logit_bias: Scalar | None = None,
    *,
    is_normal: Bool[Tensor, " batch"],
    form: str = "soft_ce",
    balance: str = "none",
    chunk_size: int = 1024,
) -> Float[Tensor, ""]:
    """:func:`offclip.losses.off_diagonal_loss` of a cosine head, pairs by position.

    Args:
        image_features: of unit length; half precision is computed in float32.
        text_features: of unit length.
        logit_scale: factor on the cosines, already exponentiated, positive.
        logit_bias: added to every score; default: none. Seen by ``form="bce"`` alone.
        is_normal: one flag a study.
        form: ``"soft_ce"`` or ``"bce"``.
        balance: ``"none"`` or ``"classes"``.
        chunk_size: rows of the score matrix held at once.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: an unknown form or balance, shapes that differ, a wrong dtype, a scale or chunk
            size that is not positive.
    """
    check_choice("form", form, FORMS)
    check_choice("balance", balance, BALANCES)
    check_normal_flags(is_normal, len(image_features))
    images, texts, scale, bias = _inputs(
        image_features, text_features, logit_scale, logit_bias, chunk_size
    )
    if form == "bce":
        weights = _cell_weights(is_normal, balance, images.dtype)
        return sigmoid_cell_sum(images, texts, scale, bias, is_normal, weights, chunk_size)
    positives = _mean_positive(images, texts, is_normal)
    weight = 1 / _row_counts(is_normal, balance).to(images.dtype)
    return _cross_entropy(images, texts, scale, positives, weight, chunk_size) + _unseen(bias)


def chunked_offclip_loss(
    image_features: Float[Tensor, "batch dim"],
    text_features: Float[Tensor, "batch dim"],
    logit_scale: Scalar,
    logit_bias: Scalar | None = None,
    *,
    is_normal: Bool[Tensor, " batch"],
    form: str = "soft_ce",
    balance: str = "none",
    off_diagonal_weight: float = 1.0,
    abnormal_weight: float = 1.0,
    chunk_size: int = 1024,
) -> OffClipLoss:
    """:func:`offclip.losses.offclip_loss` of a cosine head, pairs by position.

    Args:
        image_features: of unit length; half precision is computed in float32.
        text_features: of unit length.
        logit_scale: factor on the cosines, already exponentiated, positive.
        logit_bias: added to every score; default: none. Seen by ``form="bce"`` alone.
        is_normal: one flag a study.
        form: of the off-diagonal term.
        balance: of the off-diagonal term.
        off_diagonal_weight: factor of the off-diagonal term, non-negative.
        abnormal_weight: factor of the abnormal InfoNCE, non-negative.
        chunk_size: rows of the score matrix held at once.

    Returns:
        The weighted terms and their sum, in nats.

    Raises:
        ValueError: as :func:`chunked_off_diagonal_loss`, or a negative weight.
    """
    check_not_negative("off_diagonal_weight", off_diagonal_weight)
    check_not_negative("abnormal_weight", abnormal_weight)
    off_diagonal = chunked_off_diagonal_loss(
        image_features,
        text_features,
        logit_scale,
        logit_bias,
        is_normal=is_normal,
        form=form,
        balance=balance,
        chunk_size=chunk_size,
    )
    off_diagonal = weighted(off_diagonal_weight, off_diagonal)
    rows = (~is_normal).nonzero().squeeze(1)  # waits for the device once
    inner = image_features[rows], text_features[rows]
    if len(rows) < 2:
        abnormal = (
            full_precision(image_features)[:0].sum() + full_precision(text_features)[:0].sum()
        )
    else:
        abnormal = chunked_info_nce(*inner, logit_scale, chunk_size=chunk_size)
    abnormal = weighted(abnormal_weight, abnormal)
    return OffClipLoss(off_diagonal + abnormal, off_diagonal, abnormal)


def _inputs(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float | None,
    chunk_size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Checked inputs in one dtype of full precision."""
    check_numbers("image_features", image_features)
    check_numbers("text_features", text_features)
    if image_features.shape != text_features.shape or image_features.ndim != 2:
        raise ValueError(
            f"image_features, text_features: expected the same shape (batch, dim), "
            f"got {tuple(image_features.shape)} and {tuple(text_features.shape)}"
        )
    check_whole("chunk_size", chunk_size)
    images, texts = full_precision(image_features), full_precision(text_features)
    scale = _number(logit_scale, images)
    check_positive("logit_scale", scale.item())
    bias = _number(0.0 if logit_bias is None else logit_bias, images)
    return images, texts, scale, bias


def _number(value: Tensor | float, like: Tensor) -> Tensor:
    """A scalar tensor in the dtype and on the device of ``like``."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(())


def _cross_entropy(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    positives: Tensor,
    weight: Tensor,
    chunk_size: int,
) -> Tensor:
    """``Σ weight · (mean of the row's and the column's logsumexp − scale · positives)``.

    The weighted sum of the positives is the same over rows and over columns, as both the targets
    and the weights are.
    """
    rows, columns = cell_log_sums(images, texts, scale, chunk_size)
    return (weight * ((rows + columns) / 2 - scale * positives)).sum()


def _mean_positive(images: Tensor, texts: Tensor, is_normal: Tensor) -> Tensor:
    """Mean cosine of each image with its positive texts: its own, or those of all normals."""
    normals = texts.masked_fill(~is_normal[:, None], 0.0)
    centre = normals.sum(dim=0) / is_normal.sum().clamp(min=1)
    return (images * torch.where(is_normal[:, None], centre, texts)).sum(dim=1)


def _row_counts(is_normal: Tensor, balance: str) -> Tensor:
    """How many rows share the weight of each row of the soft form; the inverses sum to 1."""
    if balance == "none":
        return torch.full_like(is_normal, len(is_normal), dtype=torch.long)
    counts = torch.stack([(~is_normal).sum(), is_normal.sum()])
    return counts[is_normal.long()] * counts.count_nonzero()


def _cell_weights(is_normal: Tensor, balance: str, dtype: torch.dtype) -> Tensor:
    """Weights of a positive and of a negative cell; over all cells they sum to 1."""
    batch, normals = len(is_normal), is_normal.sum()
    positives = batch - normals + normals**2
    counts = torch.stack([positives, batch**2 - positives]).to(dtype)
    if balance == "none":
        return torch.full_like(counts, 1 / batch**2)
    return torch.where(counts.all(), 0.5 / counts, 1 / batch**2)


def _unseen(bias: Tensor) -> Tensor:
    """A zero that gives the bias of a softmax its gradient of 0, whatever its value is."""
    return bias.reshape(1)[:0].sum()
