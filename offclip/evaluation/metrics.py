"""AUC with bootstrap intervals, paired between variants. Knows arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score, roc_curve


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def auc(labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]) -> float:
    """Area under the ROC curve; NaN if a class is empty.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"scores: {np.sum(~np.isfinite(scores))} of {len(labels)} are not finite")
    if labels.all() or not labels.any():
        return float("nan")
    return float(roc_auc_score(labels, scores))


def stratified_weights(
    strata: Bool[np.ndarray, " image"] | np.ndarray,
    *,
    resamples: int,
    seed: int,
    clusters: Sequence[str] | np.ndarray | None = None,
) -> Float[np.ndarray, "resample image"]:
    """How often each image is drawn in each bootstrap resample, each stratum kept at its size.

    The same weights serve every metric and variant, which makes the differences paired.

    Args:
        strata: of the images.
        resamples: how many.
        seed: of the draws.
        clusters: the cluster of each image, such as its patient. Clusters are sampled with all of
            their images; one belongs to the lowest stratum of its images, and a stratum keeps its
            number of clusters. Images of one patient are correlated: sampled one by one, they give
            too narrow an interval (Field & Welsh, J. R. Stat. Soc. B 69, 2007). Default: each image
            is its own cluster.
    """
    generator = np.random.default_rng(seed)
    of_image = pd.factorize(np.arange(len(strata)) if clusters is None else np.asarray(clusters))[0]
    of_cluster = pd.Series(strata).groupby(of_image).min().to_numpy()
    weights = np.zeros((resamples, len(of_cluster)))
    for stratum in np.unique(of_cluster):
        members = np.flatnonzero(of_cluster == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), share, size=resamples)
    return weights[:, of_image]


def patient_weights(
    patients: Sequence[str], *, resamples: int, seed: int
) -> Float[np.ndarray, "resample image"]:
    """How often each image is drawn when patients are drawn, each with all of its images."""
    found, of_image = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    share = np.full(len(found), 1 / len(found))
    drawn = np.random.default_rng(seed).multinomial(len(found), share, size=resamples)
    return drawn[:, of_image].astype(float)


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


def youden_threshold(
    labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]
) -> float:
    """Threshold ``t`` of the rule ``score >= t`` that maximises sensitivity + specificity.

    To be chosen on validation and applied to test, never chosen on the test labels.
    """
    false_positive, true_positive, thresholds = roc_curve(labels, scores)
    best = int(np.argmax((true_positive - false_positive)[1:])) + 1
    return float(thresholds[best])
