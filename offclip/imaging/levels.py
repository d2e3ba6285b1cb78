"""Functions of a pixel's value, worked out once for each value that occurs."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Shaped, UInt8

Levels: TypeAlias = Shaped[np.ndarray, " level"]


def map_levels(
    pixels: Shaped[np.ndarray, "height width"], grey: Callable[[Levels, Levels], Levels]
) -> UInt8[np.ndarray, "height width"]:
    """Look ``grey`` up for every pixel.

    Args:
        pixels: unsigned integers.
        grey: from the levels that occur, ascending, and how many pixels have each, to the grey
            of each level, from 0 to 255.
    """
    if pixels.itemsize > 2:
        levels, index, counts = np.unique(pixels, return_inverse=True, return_counts=True)
        return grey(levels, counts).astype(np.uint8)[index].reshape(pixels.shape)
    counts = np.bincount(pixels.ravel())
    levels = np.flatnonzero(counts)
    table = np.zeros(len(counts), np.uint8)
    table[levels] = grey(levels, counts[levels])
    return table[pixels]


def quantile(values: Levels, counts: Levels, share: float) -> float:
    """The smallest value that at least this share of the pixels does not exceed."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(below, share * below[-1])])
