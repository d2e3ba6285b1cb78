"""Sums over all cells of a cosine score matrix, made a chunk of rows at a time.

Forward and backward build ``chunk_size`` rows of ``scale · images @ texts.T + bias`` at once and
drop them again, so memory grows with chunk × N in place of N × N. The backward pass makes the
chunks a second time. Gradients of gradients are not supported.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from offclip.scores import no_autocast

Gradients = tuple[Tensor, Tensor, Tensor]


def cell_log_sums(
    images: Tensor, texts: Tensor, scale: Tensor, chunk_size: int
) -> tuple[Tensor, Tensor]:
    """``logsumexp`` of every row and of every column of ``scale · images @ texts.T``."""
    return _CellLogSums.apply(images, texts, scale, chunk_size)


def sigmoid_cell_sum(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor,
    is_normal: Tensor,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    """Sum of the sigmoid cross-entropy over all cells against the targets of ``is_normal``.

    ``weights`` holds that of a positive and that of a negative cell.
    """
    return _SigmoidCellSum.apply(images, texts, scale, bias, is_normal, weights, chunk_size)


class _CellLogSums(torch.autograd.Function):
    @staticmethod
    def forward(images: Tensor, texts: Tensor, scale: Tensor, chunk_size: int) -> Any:
        with no_autocast(images):
            return _log_sums(images, texts, scale, chunk_size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *tensors, ctx.chunk_size = inputs
        ctx.save_for_backward(*tensors, *output)

    @staticmethod
    def backward(ctx: Any, grad_rows: Tensor, grad_columns: Tensor) -> Any:
        images, texts, scale, rows, columns = ctx.saved_tensors
        gradient = _log_sums_gradient(rows, columns, grad_rows, grad_columns)
        with no_autocast(rows):
            return *_pull_back(images, texts, scale, None, ctx.chunk_size, gradient), None


class _SigmoidCellSum(torch.autograd.Function):
    @staticmethod
    def forward(
        images: Tensor,
        texts: Tensor,
        scale: Tensor,
        bias: Tensor,
        is_normal: Tensor,
        weights: Tensor,
        chunk_size: int,
    ) -> Any:
        with no_autocast(images):
            return _sigmoid_sum(images, texts, scale, bias, is_normal, weights, chunk_size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.chunk_size = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        images, texts, scale, bias, is_normal, weights = ctx.saved_tensors
        total = torch.zeros_like(bias)
        gradient = _sigmoid_gradient(is_normal, weights, grad, total)
        with no_autocast(bias):
            gradients = _pull_back(images, texts, scale, bias, ctx.chunk_size, gradient)
        return *gradients, total, None, None, None


def _chunks(
    images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor | None, chunk_size: int
) -> Iterator[tuple[slice, Tensor]]:
    """Row ranges of the score matrix with their scores; the caller may overwrite these."""
    for start in range(0, len(images), chunk_size):
        rows = slice(start, start + chunk_size)
        scores = (scale * images[rows]) @ texts.T
        yield rows, scores if bias is None else scores.add_(bias)


def _log_sums(
    images: Tensor, texts: Tensor, scale: Tensor, chunk_size: int
) -> tuple[Tensor, Tensor]:
    row_sums = images.new_empty(len(images))
    column_sums = images.new_full((len(texts),), -torch.inf)
    for rows, scores in _chunks(images, texts, scale, None, chunk_size):
        row_sums[rows] = scores.logsumexp(dim=1)
        column_sums = torch.logaddexp(column_sums, scores.logsumexp(dim=0))
    return row_sums, column_sums


def _log_sums_gradient(
    row_sums: Tensor, column_sums: Tensor, grad_rows: Tensor, grad_columns: Tensor
) -> Callable[[slice, Tensor], Tensor]:
    """Gradient with respect to a chunk of scores: the softmax over rows, and over columns."""

    def gradient(rows: slice, scores: Tensor) -> Tensor:
        over_columns = (scores - column_sums).exp_().mul_(grad_columns)
        over_rows = scores.sub_(row_sums[rows, None]).exp_().mul_(grad_rows[rows, None])
        return over_rows.add_(over_columns)

    return gradient


def _positives(is_normal: Tensor, rows: slice) -> Tensor:
    """Rows of the matrix of :func:`offclip.losses.pair_targets`, as booleans."""
    block = is_normal[rows, None] & is_normal
    block.diagonal(rows.start).fill_(True)
    return block


def _weights(positive: Tensor, weights: Tensor) -> Tensor:
    return torch.where(positive, weights[0], weights[1])


def _sigmoid_sum(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor,
    is_normal: Tensor,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    total = images.new_zeros(())
    for rows, scores in _chunks(images, texts, scale, bias, chunk_size):
        positive = _positives(is_normal, rows)
        cells = softplus(torch.where(positive, -scores, scores))
        total += cells.mul_(_weights(positive, weights)).sum()
    return total


def _sigmoid_gradient(
    is_normal: Tensor, weights: Tensor, grad: Tensor, total: Tensor
) -> Callable[[slice, Tensor], Tensor]:
    """Gradient with respect to a chunk of scores: ``weight · (σ(S) − T)``. ``total`` sums it up."""

    def gradient(rows: slice, scores: Tensor) -> Tensor:
        positive = _positives(is_normal, rows)
        cells = scores.sigmoid_().sub_(positive.to(scores.dtype))
        cells.mul_(_weights(positive, weights)).mul_(grad)
        total.add_(cells.sum())
        return cells

    return gradient


def _pull_back(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    chunk_size: int,
    gradient: Callable[[slice, Tensor], Tensor],
) -> Gradients:
    """From the gradient of each chunk of scores to that of images, texts and scale."""
    if torch.is_grad_enabled():  # create_graph=True, or a transform of torch.func
        raise RuntimeError(
            "chunked losses have no gradients of gradients, which create_graph=True and torch.func "
            "prepare for; use the plain loss there"
        )
    of_images, of_texts = torch.empty_like(images), torch.zeros_like(texts)
    for rows, scores in _chunks(images, texts, scale, bias, chunk_size):
        cells = gradient(rows, scores)
        of_images[rows] = cells @ texts
        of_texts.addmm_(cells.T, images[rows])
    of_scale = (of_images * images).sum()
    return of_images * scale, of_texts * scale, of_scale
