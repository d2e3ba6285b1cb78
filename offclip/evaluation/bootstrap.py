"""One bootstrap for every interval: patients are resampled, the same ones for every metric.

Paired between variants.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import t as student_t

Resampled: TypeAlias = tuple[float, Float[np.ndarray, " resample"]]
"""A value, and what it is in each resample."""
Answers: TypeAlias = dict[tuple[str, str], Resampled]
"""By metric and detail."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_weights(
    clusters: Sequence[str] | Sequence[int] | np.ndarray,
    strata: Bool[np.ndarray, " image"] | np.ndarray | None = None,
    *,
    resamples: int,
    seed: int,
) -> Float[np.ndarray, "resample image"]:
    """How often each image counts in each bootstrap resample.

    Clusters are sampled with all of their images: images of one patient are correlated, and sampled
    one by one they give too narrow an interval (Field & Welsh, J. R. Stat. Soc. B 69, 2007). The
    same weights serve every metric and variant, which makes the differences paired.

    Args:
        clusters: the cluster of each image, see :func:`offclip.evaluation.clusters_of`.
        strata: of the images; each keeps its number of clusters, and a cluster belongs to the
            lowest stratum of its images. Default: all clusters are alike. With strata, clusters are
            numbered as they appear; without, by their names, so that the order of the images does
            not matter (both as the stored records were made).
        resamples: how many.
        seed: of the sampling.
    """
    generator = np.random.default_rng(seed)
    of_image = pd.factorize(np.asarray(clusters), sort=strata is None)[0]
    strata = np.zeros(len(of_image)) if strata is None else strata
    of_cluster = pd.Series(strata).groupby(of_image).min().to_numpy()
    weights = np.zeros((resamples, len(of_cluster)))
    for stratum in np.unique(of_cluster):
        members = np.flatnonzero(of_cluster == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), share, size=resamples)
    return weights[:, of_image]


def bootstrap_auc(
    labels: Bool[np.ndarray, " image"],
    scores: Float[np.ndarray, " image"],
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, " resample"]:
    """AUC of every resample: the weighted share of (positive, negative) pairs in right order.

    A tie counts one half. A resample without a positive or a negative gives NaN.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    positive = np.add.reduceat((weights * labels)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * ~labels)[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (positive * below).sum(axis=1) / pairs


def mean_of(parts: Iterable[Resampled]) -> Resampled:
    """The mean of several values; a resample that one of them lacks has no mean.

    A mean over the others would be another quantity, and would count the differences between them
    as noise. An interval leaves such a resample out.
    """
    values, resampled = zip(*parts, strict=True)
    return float(np.mean(values)), np.mean(resampled, axis=0)


def percentile_interval(value: float, resampled: Float[np.ndarray, " resample"]) -> Interval:
    """95 % percentile interval; resamples without a value are left out."""
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def resampled_over_seeds(
    resampled: Float[np.ndarray, "seed resample"], *, seed: int = 0
) -> Float[np.ndarray, " resample"]:
    r"""Resamples of the mean over training seeds, for an interval over images and seeds.

    .. math:: m_r + t_r \, s / \sqrt{S}

    with the mean :math:`m_r` of the S seeds on the images of resample r, the standard deviation
    :math:`s` of the seeds, each at the mean of its resamples, and the quantiles :math:`t_r` of
    Student's t with S - 1 degrees of freedom, in random order.

    Its interval covers the expected value of the metric over trainings, and over patients like
    these: what the mean tends to with ever more seeds and images. All seeds learn from one training
    set; what another one would give is not covered. Without noise of the images it is the t
    interval of the seeds; a bootstrap of five seeds, which takes their spread for known, covers
    0.88 in place of 0.95, one of three 0.81. Where seeds differ in other ways on other images, this
    noise counts twice and the interval is too wide. ``benchmarks/coverage.py`` measures it.

    Args:
        resampled: a metric's resamples over images, one row for each training seed; for paired
            seeds, their differences. A resample without a value in one seed has none here.
        seed: of the order of the quantiles.

    Returns:
        Resamples; of a single seed, those over its images.
    """
    seeds, count = resampled.shape
    mean = resampled.mean(axis=0)
    if seeds == 1:
        return mean
    spread = np.nanmean(resampled, axis=1).std(ddof=1)
    quantiles = student_t.ppf((np.arange(count) + 0.5) / count, seeds - 1)
    order = np.random.default_rng(seed).permutation(count)
    return mean + quantiles[order] * spread / np.sqrt(seeds)
