"""DeLong against a loop over pairs, sklearn and the bootstrap; Holm by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from offclip.evaluation import bootstrap_auc, stratified_weights
from offclip.evaluation.delong import delong, delong_difference, holm


@pytest.fixture(scope="module")
def case():
    generator = np.random.default_rng(0)
    labels = generator.random(300) < 0.35
    common = generator.standard_normal(300) + labels
    first = np.round(common + 0.5 * generator.standard_normal(300), 1)  # with ties
    second = common + 0.8 * generator.standard_normal(300)
    return labels, first, second


def test_placements_by_a_loop(case):
    labels, *scores = case
    values, covariance = delong(labels, np.stack(scores))
    placed = []
    for each in scores:
        wins = np.array(
            [[(p > n) + (p == n) / 2 for n in each[~labels]] for p in each[labels]], dtype=float
        )
        placed.append((wins.mean(axis=1), wins.mean(axis=0)))
    expected = [
        [
            np.cov(a[0], b[0])[0, 1] / labels.sum() + np.cov(a[1], b[1])[0, 1] / (~labels).sum()
            for b in placed
        ]
        for a in placed
    ]
    np.testing.assert_allclose(covariance, expected, rtol=1e-12)
    np.testing.assert_allclose(values, [roc_auc_score(labels, each) for each in scores])


def test_agrees_with_the_paired_bootstrap(case):
    labels, first, second = case
    weights = stratified_weights(labels, resamples=4000, seed=0)
    drawn = bootstrap_auc(labels, first, weights) - bootstrap_auc(labels, second, weights)
    found, p = delong_difference(labels, first, second)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(drawn.std(), rel=0.05)
    assert 0 < p < 1 and (p < 0.05) == (found.low > 0 or found.high < 0)


def test_one_model_against_itself_and_too_few():
    labels = np.array([True, True, False, False])
    scores = np.arange(4.0)
    found, p = delong_difference(labels, scores, scores * 2)
    assert (found.value, found.low, found.high, p) == (0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="1 positive and 3 negative"):
        delong(np.array([True, False, False, False]), scores[None])


def test_p_is_uniform_without_a_difference():
    generator, found = np.random.default_rng(3), []
    labels = np.arange(120) < 50
    for _ in range(400):
        scores = generator.standard_normal((2, 120)) + labels
        found.append(delong_difference(labels, *scores)[1])
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
    assert holm(np.array([], dtype=float)).size == 0
