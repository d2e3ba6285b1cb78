"""Do probabilities mean what they say?"""

import numpy as np
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression

from offclip.evaluation.bootstrap import Interval


def platt(
    scores: Float[np.ndarray, " case"],
    labels: Bool[np.ndarray, " case"],
    weights: Float[np.ndarray, " case"] | None = None,
) -> tuple[float, float]:
    """Slope and offset that turn scores into log-odds of the label (Platt, 1999).

    A logistic regression of one variable without a penalty. Fit it on validation.
    """
    model = LogisticRegression(C=np.inf).fit(scores[:, None], labels, sample_weight=weights)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def calibration_error(
    positive: Float[np.ndarray, " case"],
    probabilities: Float[np.ndarray, " case"],
    weights: Float[np.ndarray, " case"],
    *,
    bins: int = 10,
) -> float:
    """Expected calibration error over bins of equal weight.

    ECE = sum_b W_b / W * |mean_b(y) - mean_b(p)|, with weighted means (Naeini et al., AAAI 2015,
    with equal-mass bins). In order of p, a case belongs to the bin in which the middle of its
    weight lies. NaN without a case.

    Args:
        positive: 1 or 0.
        probabilities: of 1, in [0, 1].
        weights: not negative, some above 0.
        bins: at least 1.
    """
    if not len(positive):
        return float("nan")
    return float(calibration_errors(positive[None], probabilities, weights[None], bins=bins)[0])


def calibration_errors(
    positive: Float[np.ndarray, "#resample case"],
    probabilities: Float[np.ndarray, " case"],
    weights: Float[np.ndarray, "#resample case"],
    *,
    bins: int = 10,
) -> Float[np.ndarray, " resample"]:
    """:func:`calibration_error` of many labels, many weights or both, one a row."""
    order = np.argsort(probabilities, kind="stable")
    weight = weights[:, order] / weights.sum(axis=1, keepdims=True)
    middle = np.cumsum(weight, axis=1) - weight / 2
    index = np.minimum((bins * middle).astype(int), bins - 1)
    gap = weight * (positive - probabilities)[:, order]
    cell = np.broadcast_to(index, gap.shape) + bins * np.arange(len(gap))[:, None]
    sums = np.bincount(cell.ravel(), weights=gap.ravel(), minlength=bins * len(gap))
    return np.asarray(np.abs(sums.reshape(len(gap), bins)).sum(axis=1))


def perfect_calibration_error(
    probabilities: Float[np.ndarray, " case"],
    weights: Float[np.ndarray, " case"],
    *,
    bins: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Calibration error that a perfectly calibrated classifier would show on this many cases.

    Labels are drawn anew from the probabilities themselves; the value is the mean over the draws,
    and 95 % of them lie within the interval. An error above ``high`` is more than noise.
    """
    generator = np.random.default_rng(seed)
    draws = (generator.random((resamples, len(probabilities))) < probabilities).astype(np.float64)
    errors = calibration_errors(draws, probabilities, weights[None], bins=bins)
    low, high = np.percentile(errors, [2.5, 97.5])
    return Interval(float(np.mean(errors)), float(low), float(high))
