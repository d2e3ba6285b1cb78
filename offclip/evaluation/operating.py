"""What a normality score is worth at a fixed threshold, as a reader of films would use it.

Normal is positive. Every threshold and every calibration comes from validation and is applied to
test; nothing is chosen on test labels.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from offclip.evaluation.bootstrap import Resampled
from offclip.evaluation.calibration import (
    calibration_error,
    calibration_errors,
    perfect_calibration_error,
    platt,
)
from offclip.evaluation.metrics import youden_threshold

PREVALENCE = 0.683  # of normal studies in the test part of VinDr-CXR
Flags = Bool[np.ndarray, " image"]
Scores = Float[np.ndarray, " image"]


def threshold_at_specificity(labels: Flags, scores: Scores, specificity: float) -> float:
    """Lowest threshold ``t`` of the rule ``score >= t`` that refuses this share of negatives.

    Compare scores in double precision: ``t`` lies next to the highest score that is refused.
    """
    highest = np.quantile(scores[~labels].astype(np.float64), specificity, method="higher")
    return float(np.nextafter(highest, np.inf))


def threshold_at_sensitivity(labels: Flags, scores: Scores, sensitivity: float) -> float:
    """Highest threshold ``t`` of the rule ``score >= t`` that accepts this share of positives."""
    return float(np.quantile(scores[labels], 1 - sensitivity, method="lower"))


def operating_points(
    validation: tuple[Bool[np.ndarray, " held_out"], Float[np.ndarray, " held_out"]],
    test: tuple[Flags, Scores],
    weights: Float[np.ndarray, "resample image"],
) -> dict[str, Resampled]:
    r"""Measures of one normality score on test, each with its resamples.

    ``normal_balanced_accuracy``, ``normal_ppv`` and ``normal_npv`` at the threshold of Youden's
    index; the predictive values are for a prevalence of :data:`PREVALENCE`.
    ``normal_sensitivity_at_95_specificity`` and ``normal_specificity_at_95_sensitivity``.
    ``normal_set_aside``: share of normal films called normal at the threshold that keeps 99 % of
    the abnormal ones on validation; ``abnormal_set_aside``: share of abnormal films that go with
    them on test. ``normal_auprc``: average precision at the test set's own mix.
    ``normal_margin``: difference of the two means in units of the pooled deviation,
    :math:`(\mu_n - \mu_a) / \sqrt{(\sigma_n^2 + \sigma_a^2) / 2}`.
    ``normal_brier`` and ``normal_calibration_error`` after Platt scaling;
    ``normal_calibration_noise``: what a perfectly calibrated score would show. Drawing cases anew
    adds noise that the error counts as error, so its resamples are moved to have it as their mean.

    A measure without a value (nothing is called normal, or nothing varies) is not finite.

    Args:
        validation: flags (normal is True) and scores, higher is more normal.
        test: the same for test.
        weights: how often each test image is drawn in each resample.
    """
    labels, scores = test[0], test[1].astype(np.float64)

    def rates(threshold: float) -> tuple[Resampled, Resampled]:
        called = scores >= threshold
        return share(called, labels), share(~called, ~labels)

    def share(of: np.ndarray, among: np.ndarray) -> Resampled:
        return float(of[among].mean()), (weights @ (of & among)) / (weights @ among)

    sensitivity, specificity = rates(youden_threshold(*validation))
    at_specificity, _ = rates(threshold_at_specificity(*validation, 0.95))
    _, at_sensitivity = rates(threshold_at_sensitivity(*validation, 0.95))
    aside, kept = rates(threshold_at_specificity(*validation, 0.99))
    slope, offset = platt(validation[1].astype(np.float64), validation[0])
    probability, truth = expit(slope * scores + offset), labels.astype(np.float64)
    squares, ones = (probability - truth) ** 2, np.ones(len(labels))
    noise = perfect_calibration_error(probability, ones)
    error = calibration_error(truth, probability, ones)
    errors = calibration_errors(truth[None], probability, weights)
    return {
        "normal_balanced_accuracy": _both(lambda p, q: (p + q) / 2, sensitivity, specificity),
        "normal_ppv": _both(lambda p, q: predictive_value(p, q, PREVALENCE), sensitivity,
                            specificity),
        "normal_npv": _both(lambda p, q: predictive_value(q, p, 1 - PREVALENCE), sensitivity,
                            specificity),
        "normal_sensitivity_at_95_specificity": at_specificity,
        "normal_specificity_at_95_sensitivity": at_sensitivity,
        "normal_set_aside": aside,
        "abnormal_set_aside": _both(lambda p, q: 1 - q, aside, kept),
        "normal_auprc": average_precision(labels, scores, weights),
        "normal_margin": _margin(labels, scores, weights),
        "normal_brier": (float(squares.mean()), weights @ squares / weights.sum(axis=1)),
        "normal_calibration_error": (
            error, errors - errors.mean() + error
        ),
        "normal_calibration_noise": (noise.value, np.full(len(weights), noise.value)),
    }  # fmt: skip


def predictive_value(sensitivity, specificity, prevalence: float):  # type: ignore[no-untyped-def]
    """Share of true ones among those called positive, by Bayes; NaN if none is called so."""
    true = np.multiply(sensitivity, prevalence)
    false = np.multiply(1 - specificity, 1 - prevalence)
    with np.errstate(invalid="ignore", divide="ignore"):
        return true / (true + false)


def average_precision(
    labels: Flags, scores: Scores, weights: Float[np.ndarray, "resample image"]
) -> Resampled:
    """Sum of precision times step in recall over falling thresholds; ties fall together.

    As ``sklearn.metrics.average_precision_score``, for all resamples at once.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    positives = labels[order]

    def of(weight: np.ndarray) -> np.ndarray:
        true = np.cumsum(weight[:, order] * positives, axis=1)[:, ends]
        called = np.cumsum(weight[:, order], axis=1)[:, ends]
        with np.errstate(invalid="ignore"):
            precision = np.where(called > 0, true / called, 0.0)
        steps = np.diff(true, prepend=0.0, axis=1) / true[:, -1:]
        return (precision * steps).sum(axis=1)

    return float(of(np.ones((1, len(labels))))[0]), of(weights)


def _margin(
    labels: Flags, scores: Scores, weights: Float[np.ndarray, "resample image"]
) -> Resampled:
    def of(weight: np.ndarray) -> np.ndarray:
        means, variances = [], []
        for members in (labels, ~labels):
            share = weight[:, members] / weight[:, members].sum(axis=1, keepdims=True)
            means.append(share @ scores[members])
            variances.append((share * (scores[members] - means[-1][:, None]) ** 2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return (means[0] - means[1]) / np.sqrt((variances[0] + variances[1]) / 2)

    return float(of(np.ones((1, len(labels))))[0]), of(weights)


def _both(combine: Callable[..., np.ndarray], first: Resampled, second: Resampled) -> Resampled:
    return float(combine(first[0], second[0])), combine(first[1], second[1])
