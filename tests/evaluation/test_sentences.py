"""Scores of sentences against loops, closed forms and scipy's own interval."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from offclip.evaluation.calibration import calibration_error, perfect_calibration_error
from offclip.evaluation.sentences import (
    cohen_kappa,
    score_sentences,
    score_strata,
    weighted_share,
)

LABELS = ("normal", "abnormal", "uncertain")


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    labels = rng.choice(LABELS, 200, p=[0.4, 0.5, 0.1])
    strata = rng.choice(["x", "y"], 200)
    return labels, rng.random(200), np.where(strata == "x", 1.0, 3.5), strata


def test_scores_equal_a_loop(case):
    labels, probabilities, weights, _ = case
    right = dict.fromkeys(LABELS, 0.0)
    total = dict.fromkeys(LABELS, 0.0)
    for label, probability, weight in zip(labels, probabilities, weights, strict=True):
        total[label] += weight
        if (probability >= 0.3) == (label != "normal"):
            right[label] += weight
    found = score_sentences(labels, probabilities, weights, threshold=0.3)
    sure = total["normal"] + total["abnormal"]
    assert found.accuracy.value == pytest.approx((right["normal"] + right["abnormal"]) / sure)
    assert found.abnormal_recall.value == pytest.approx(right["abnormal"] / total["abnormal"])
    assert found.normal_recall.value == pytest.approx(right["normal"] / total["normal"])
    assert found.uncertain_abnormal.value == pytest.approx(right["uncertain"] / total["uncertain"])
    assert found.n == int(np.sum(labels != "uncertain"))
    assert found.n + found.n_uncertain == 200


def test_perfect_and_inverted_classifiers(case):
    labels, _, weights, _ = case
    truth = (labels == "abnormal").astype(float)
    perfect = score_sentences(labels, truth, weights)
    assert perfect.accuracy.value == perfect.abnormal_recall.value == 1
    assert perfect.calibration_error == 0
    inverted = score_sentences(labels, 1 - truth, weights)
    assert inverted.accuracy.value == 0
    assert inverted.calibration_error > 0.9  # one bin holds both kinds


def test_strata_weighted_together_give_the_whole(case):
    labels, probabilities, weights, strata = case
    parts = score_strata(labels, probabilities, weights, strata)
    assert list(parts) == ["x", "y"]
    mass = {name: weights[(strata == name) & (labels != "uncertain")].sum() for name in parts}
    mean = sum(mass[name] * parts[name].accuracy.value for name in parts) / sum(mass.values())
    assert mean == pytest.approx(score_sentences(labels, probabilities, weights).accuracy.value)


@pytest.mark.parametrize(("right", "n"), [(0, 5), (3, 7), (96, 100), (100, 100)])
def test_equal_weights_give_wilsons_interval(right, n):
    values = (np.arange(n) < right).astype(float)
    found = weighted_share(values, np.full(n, 2.5))
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_unequal_weights_widen_the_interval():
    values = (np.arange(100) < 90).astype(float)
    equal = weighted_share(values, np.ones(100))
    unequal = weighted_share(values, np.tile([1.0, 9.0], 50))
    assert unequal.value == equal.value
    assert unequal.high - unequal.low > 1.2 * (equal.high - equal.low)


def test_nothing_to_score_is_nan():
    found = score_sentences(np.array(["uncertain"]), np.array([0.9]), np.ones(1))
    assert math.isnan(found.accuracy.value) and math.isnan(found.calibration_error)
    assert found.uncertain_abnormal.value == 1


def test_calibration_error_equals_a_loop_over_equal_bins():
    rng = np.random.default_rng(1)
    probabilities = rng.random(50)
    abnormal = (rng.random(50) < probabilities**2).astype(float)
    order = np.argsort(probabilities)
    expected = 0.0
    for start in range(0, 50, 5):
        chosen = order[start : start + 5]
        expected += 5 / 50 * abs(abnormal[chosen].mean() - probabilities[chosen].mean())
    assert calibration_error(abnormal, probabilities, np.ones(50)) == pytest.approx(expected)


def test_an_integer_weight_is_a_repeated_sentence():
    probabilities, abnormal = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    weights = np.array([2.0, 3.0, 1.0, 4.0])
    repeated = [np.repeat(each, weights.astype(int)) for each in (abnormal, probabilities)]
    one = calibration_error(abnormal, probabilities, weights, bins=2)
    assert one == pytest.approx(calibration_error(*repeated, np.ones(10), bins=2))


def test_a_calibrated_classifier_lies_within_the_noise_and_a_bold_one_does_not():
    rng = np.random.default_rng(2)
    probabilities, weights = rng.random(800), rng.choice([1.0, 3.0], 800)
    abnormal = (rng.random(800) < probabilities).astype(float)
    noise = perfect_calibration_error(probabilities, weights, resamples=300)
    assert noise.low < calibration_error(abnormal, probabilities, weights) < noise.high
    bold = np.clip(3 * probabilities - 1, 0, 1)
    limit = perfect_calibration_error(bold, weights, resamples=300).high
    assert calibration_error(abnormal, bold, weights) > 2 * limit


def test_kappa_equals_its_formula():
    rng = np.random.default_rng(3)
    first = rng.choice(LABELS, 120)
    second = np.where(rng.random(120) < 0.7, first, rng.choice(LABELS, 120))
    weights = rng.choice([1.0, 2.0], 120)
    share = weights / weights.sum()
    observed = share[first == second].sum()
    chance = sum(share[first == label].sum() * share[second == label].sum() for label in LABELS)
    expected = (observed - chance) / (1 - chance)
    assert cohen_kappa(first, second, weights) == pytest.approx(expected)
    same = np.full(4, "normal")
    assert math.isnan(cohen_kappa(same, same, np.ones(4)))


def test_bad_input_is_named():
    good = np.array(["normal"])
    with pytest.raises(ValueError, match="labels: expected.*got ''"):
        score_sentences(np.array([""]), np.array([0.5]), np.ones(1))
    with pytest.raises(ValueError, match="probabilities"):
        score_sentences(good, np.array([np.nan]), np.ones(1))
    with pytest.raises(ValueError, match="weights"):
        score_sentences(good, np.array([0.5]), np.zeros(1))
