"""DeLong's covariance of AUCs on the same images, and many comparisons at once. Knows arrays only.

Beside the bootstrap: exact to first order and free of draws, but for AUCs alone. Seeds are not in
it: it speaks of one trained model against another.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata

from offclip.evaluation.metrics import Interval


def delong(
    labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, "model image"]
) -> tuple[Float[np.ndarray, " model"], Float[np.ndarray, "model model"]]:
    """AUCs of several models and their covariance.

    Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988), with the mid-ranks of Sun & Xu,
    IEEE Signal Process. Lett. 21 (2014).

    Raises:
        ValueError: fewer than two positives or negatives.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if min(positives, negatives) < 2:
        raise ValueError(
            f"labels: expected two of each kind at least, got {positives} positive and "
            f"{negatives} negative; DeLong needs a variance within each"
        )
    ranks = rankdata(scores, axis=1)
    above = (ranks[:, labels] - rankdata(scores[:, labels], axis=1)) / negatives
    below = 1 - (ranks[:, ~labels] - rankdata(scores[:, ~labels], axis=1)) / positives
    covariance = np.atleast_2d(np.cov(above)) / positives + np.atleast_2d(np.cov(below)) / negatives
    return above.mean(axis=1), covariance


def delong_difference(
    labels: Bool[np.ndarray, " image"],
    first: Float[np.ndarray, " image"],
    second: Float[np.ndarray, " image"],
) -> tuple[Interval, float]:
    """First AUC less second with its 95 % interval, and the two-sided p-value of no difference.

    Two models that order all pairs alike have no variance: the interval is a point and p is 1.
    """
    values, covariance = delong(labels, np.stack([first, second]))
    difference = float(values[0] - values[1])
    error = float(np.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    half = float(norm.ppf(0.975)) * error
    p = 2 * float(norm.sf(abs(difference) / error)) if error else float(difference == 0)
    return Interval(difference, difference - half, difference + half), p


def holm(p_values: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """P-values adjusted for being many (Holm, Scand. J. Stat. 6, 1979), in the given order."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted[np.argsort(order)]
