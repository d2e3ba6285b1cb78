"""DeLong's covariance of AUCs on the same images, and many comparisons at once.

Beside the bootstrap: exact to first order and free of draws, but for AUCs alone. Seeds are not in
it: it speaks of one trained model against another.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata

from offclip.evaluation.bootstrap import Interval


def delong(
    labels: Bool[np.ndarray, " image"],
    scores: Float[np.ndarray, "model image"],
    clusters: Sequence[str] | np.ndarray | None = None,
) -> tuple[Float[np.ndarray, " model"], Float[np.ndarray, "model model"]]:
    """AUCs of several models and their covariance, images of a cluster not being independent.

    Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988), with the mid-ranks of Sun & Xu,
    IEEE Signal Process. Lett. 21 (2014); clusters as by Obuchowski, Biometrics 53 (1997): the
    placements of a cluster's images are summed, and clusters with both labels add the covariance of
    their two sums. With one image in each cluster this is DeLong's covariance.

    Args:
        labels: True is positive.
        scores: one row for each model.
        clusters: the cluster of each image, such as its patient. Default: each image is its own.

    Raises:
        ValueError: fewer than two clusters with a positive, or with a negative.
    """
    own = np.arange(len(labels)) if clusters is None else np.asarray(clusters)
    cluster, names = pd.factorize(own)
    positives, negatives = int(labels.sum()), int((~labels).sum())
    with_positive, with_negative = np.unique(cluster[labels]), np.unique(cluster[~labels])
    if min(len(with_positive), len(with_negative)) < 2:
        raise ValueError(
            f"labels: expected two of each kind at least, in two clusters, got {positives} "
            f"positive and {negatives} negative in {len(with_positive)} and {len(with_negative)} "
            "clusters; DeLong needs a variance within each"
        )
    ranks = rankdata(scores, axis=1)
    above = (ranks[:, labels] - rankdata(scores[:, labels], axis=1)) / negatives
    below = 1 - (ranks[:, ~labels] - rankdata(scores[:, ~labels], axis=1)) / positives
    count = len(names)
    wins, losses = _summed(above, cluster[labels], count), _summed(below, cluster[~labels], count)
    covariance = _covariance(wins[:, with_positive], positives)
    covariance += _covariance(losses[:, with_negative], negatives)
    both = wins @ losses.T * (count / (count - 1)) / (positives * negatives)
    return above.mean(axis=1), covariance + both + both.T


def _summed(
    placements: Float[np.ndarray, "model image"], cluster: np.ndarray, count: int
) -> Float[np.ndarray, "model cluster"]:
    """Placements, their mean taken off, added up by cluster."""
    moved = placements - placements.mean(axis=1, keepdims=True)
    return np.stack([np.bincount(cluster, each, minlength=count) for each in moved])


def _covariance(
    summed: Float[np.ndarray, "model cluster"], images: int
) -> Float[np.ndarray, "model model"]:
    """Covariance of the mean placement of so many images, from its sums by cluster."""
    count = summed.shape[1]
    return summed @ summed.T * (1 / (count - 1)) * (count / images) / images  # rounded as np.cov


def delong_difference(
    labels: Bool[np.ndarray, " image"],
    first: Float[np.ndarray, " image"],
    second: Float[np.ndarray, " image"],
    clusters: Sequence[str] | np.ndarray | None = None,
) -> tuple[Interval, float]:
    """First AUC less second with its 95 % interval, and the two-sided p-value of no difference.

    Two models that order all pairs alike have no variance: the interval is a point and p is 1.
    Images of one cluster do not count as independent, see :func:`delong`.
    """
    values, covariance = delong(labels, np.stack([first, second]), clusters)
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
