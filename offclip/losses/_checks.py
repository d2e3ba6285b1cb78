"""Checks and casts that every loss shares."""

import torch
from torch import Tensor


def full_precision(logits: Tensor) -> Tensor:
    """Half-precision scores become float32; float32 and float64 stay as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def check_square(logits: Tensor) -> None:
    """Raise unless ``logits`` is a (batch, batch) matrix, whose diagonal holds the true pairs."""
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(
            f"logits: expected a square (batch, batch) matrix with the true pairs on its diagonal, "
            f"got shape {tuple(logits.shape)}; give explicit targets for a rectangular one"
        )


def check_normal_flags(logits: Tensor, is_normal: Tensor) -> None:
    """Raise unless ``is_normal`` is one boolean for each row of the square ``logits``."""
    check_square(logits)
    if is_normal.dtype != torch.bool:
        raise ValueError(f"is_normal: expected dtype torch.bool, got {is_normal.dtype}")
    if is_normal.shape != logits.shape[:1]:
        raise ValueError(
            f"is_normal: expected shape ({logits.shape[0]},), one flag for each row of logits, "
            f"got {tuple(is_normal.shape)}"
        )


def check_cells(name: str, cells: Tensor | None, logits: Tensor) -> None:
    """Raise unless ``cells`` (targets, weights, a mask) has a value for each cell of ``logits``."""
    if cells is not None and cells.shape != logits.shape:
        raise ValueError(
            f"{name}: expected shape {tuple(logits.shape)}, the shape of logits, "
            f"got {tuple(cells.shape)}"
        )
