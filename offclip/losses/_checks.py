"""Checks that the losses share."""

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor


def check_numbers(name: str, values: Tensor) -> None:
    """Raise unless ``values`` (scores or features) are floating-point numbers, at least one."""
    if not values.is_floating_point():
        raise ValueError(
            f"{name}: expected floating-point numbers, got {values.dtype}; "
            f"convert it with {name}.float()"
        )
    if values.numel() == 0:
        raise ValueError(f"{name}: expected at least one pair, got shape {tuple(values.shape)}")


def check_square(logits: Tensor) -> None:
    """Raise unless ``logits`` is a (batch, batch) matrix, whose diagonal holds the true pairs."""
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(
            f"logits: expected a square (batch, batch) matrix with the true pairs on its diagonal, "
            f"got shape {tuple(logits.shape)}; give explicit targets for a rectangular one"
        )


def check_normal_flags(is_normal: Tensor, batch: int) -> None:
    """Raise unless ``is_normal`` is one boolean for each of ``batch`` pairs."""
    if is_normal.dtype != torch.bool:
        raise ValueError(
            f"is_normal: expected dtype torch.bool, got {is_normal.dtype}; "
            f"convert it with is_normal.bool()"
        )
    if is_normal.shape != (batch,):
        raise ValueError(
            f"is_normal: expected shape ({batch},), one flag for each pair of the batch, "
            f"got {tuple(is_normal.shape)}"
        )


def check_cells(name: str, cells: Tensor | None, logits: Tensor) -> None:
    """Raise unless ``cells`` (targets, weights, a mask) has a value for each cell of ``logits``."""
    if cells is not None and cells.shape != logits.shape:
        raise ValueError(
            f"{name}: expected shape {tuple(logits.shape)}, the shape of logits, "
            f"got {tuple(cells.shape)}"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")


def check_positive(name: str, value: float | int) -> None:
    """Raise unless ``value`` is a number above zero."""
    if not value > 0:
        raise ValueError(f"{name}: expected a number > 0, got {value}")


def check_whole(name: str, value: float | int) -> None:
    """Raise unless ``value`` is a whole number above zero."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}: expected a whole number > 0, got {value}")


def check_not_negative(name: str, value: float | int) -> None:
    """Raise unless ``value`` is zero or more."""
    if not value >= 0:
        raise ValueError(f"{name}: expected a number >= 0, got {value}")
