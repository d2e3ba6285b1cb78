"""Functions of a pixel's value, worked out once for each value that occurs."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Shaped, UInt8

Levels: TypeAlias = Shaped[np.ndarray, " level"]
_OUTLIERS = 0.01  # of the pixels at either end
_ROWS = 64  # at a time: NumPy makes 64-bit integers of them


def map_levels(
    pixels: Shaped[np.ndarray, "height width"], grey: Callable[[Levels, Levels], Levels]
) -> UInt8[np.ndarray, "height width"]:
    """Look ``grey`` up for every pixel, which are unsigned integers.

    It maps the levels that occur, and how many pixels have each, to a grey from 0 to 255.
    """
    if pixels.itemsize > 2:
        levels, index, counts = np.unique(pixels, return_inverse=True, return_counts=True)
        return grey(levels, counts).astype(np.uint8)[index].reshape(pixels.shape)
    size = int(pixels.max()) + 1
    counts = np.sum(
        [np.bincount(block.ravel(), minlength=size) for block in _blocks(pixels)], axis=0
    )
    levels = np.flatnonzero(counts)
    table = np.zeros(size, np.uint8)
    table[levels] = grey(levels, counts[levels])
    return look_up(table, pixels)


def look_up(
    table: UInt8[np.ndarray, " value"], pixels: Shaped[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """Entries of the table for unsigned integers below its length."""
    return np.concatenate([table.take(block, mode="clip") for block in _blocks(pixels)])


def _blocks(pixels: np.ndarray) -> list[np.ndarray]:
    return [pixels[start : start + _ROWS] for start in range(0, len(pixels), _ROWS)]


def inner_range(values: Levels, counts: Levels) -> tuple[float, float]:
    """The values between which all pixels lie but 1 % at either end."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    low, high = np.searchsorted(below, np.array([_OUTLIERS, 1 - _OUTLIERS]) * below[-1])
    return float(values[order][low]), float(values[order][high])
