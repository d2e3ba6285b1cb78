"""Normality at fixed thresholds: closed forms, sklearn as an oracle, resamples by hand."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss, roc_curve

from offclip.evaluation import bootstrap_weights
from offclip.evaluation.calibration import platt
from offclip.evaluation.operating import (
    average_precision,
    operating_points,
    predictive_value,
    threshold_at_sensitivity,
    threshold_at_specificity,
)


def case(seed, n=400, shift=1.5):
    generator = np.random.default_rng(seed)
    labels = generator.random(n) < 0.4
    return labels, (generator.standard_normal(n) + shift * labels).astype(np.float32)


@pytest.fixture(scope="module")
def measured():
    validation, test = case(0), case(1)
    weights = bootstrap_weights(range(len(test[0])), test[0], resamples=8, seed=0)
    return validation, test, weights, operating_points(validation, test, weights)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_thresholds_keep_their_promise_and_no_more(share):
    labels, scores = case(2)
    exact = scores.astype(np.float64)
    refuse = threshold_at_specificity(labels, scores, share)
    assert (exact[~labels] < refuse).mean() >= share
    assert (exact[~labels] < np.nextafter(refuse, -np.inf)).mean() < share
    accept = threshold_at_sensitivity(labels, scores, share)
    assert (exact[labels] >= accept).mean() >= share
    assert (exact[labels] >= np.nextafter(accept, np.inf)).mean() < share


def test_values_against_sklearn(measured):
    validation, (labels, scores), _, answers = measured
    slope, offset = platt(validation[1], validation[0])
    expected = brier_score_loss(labels, expit(slope * scores + offset))
    assert answers["normal_brier"][0] == pytest.approx(expected, abs=1e-6)
    expected = average_precision_score(labels, scores)
    assert answers["normal_auprc"][0] == pytest.approx(expected)
    false, true, _ = roc_curve(*validation)
    best = np.argmax(true - false)
    assert answers["normal_balanced_accuracy"][0] == pytest.approx(
        (true[best] + 1 - false[best]) / 2, abs=0.05
    )
    assert answers["normal_margin"][0] == pytest.approx(1.5, abs=0.25)
    assert answers["abnormal_set_aside"][0] < 0.05 < answers["normal_set_aside"][0]


def test_each_resample_is_the_measure_of_the_drawn_images(measured):
    validation, (labels, scores), weights, answers = measured
    errors = []
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(len(labels)), weight.astype(int))
        again = operating_points(
            validation, (labels[drawn], scores[drawn]), np.ones((1, len(drawn)))
        )
        for name, (value, _) in again.items():
            if name == "normal_calibration_error":
                errors.append(value)
            elif name != "normal_calibration_noise":
                assert answers[name][1][row] == pytest.approx(value, abs=1e-6), name
    value, resampled = answers["normal_calibration_error"]
    assert resampled.mean() == pytest.approx(value), "moved to have the value as their mean"
    moved = np.array(errors) - np.mean(errors) + value
    np.testing.assert_allclose(resampled, moved, atol=0.015)  # copies of a case part at bins


def test_ties_fall_together():
    labels = np.array([True, False, True, False, False])
    scores = np.array([1.0, 1.0, 0.0, 0.0, -1.0])
    value, (again,) = average_precision(labels, scores, np.ones((1, 5)))
    assert value == again == pytest.approx(average_precision_score(labels, scores))


def test_predictive_values_by_bayes():
    assert predictive_value(0.9, 0.8, 0.5) == pytest.approx(0.45 / 0.55)
    assert predictive_value(1.0, 1.0, 0.1) == 1.0
    assert np.isnan(predictive_value(np.float64(0), np.float64(1), 0.5))


def test_thresholds_are_not_chosen_on_test():
    validation, test = case(0), case(1)
    shifted = operating_points(validation, (test[0], test[1] - 5), np.ones((1, 400)))
    assert shifted["normal_balanced_accuracy"][0] == pytest.approx(0.5, abs=0.02)
    assert shifted["normal_auprc"][0] > 0.7
