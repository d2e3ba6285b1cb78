"""DeLong against a loop over pairs, sklearn and the bootstrap; Holm by hand."""

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from offclip.evaluation import bootstrap_auc, bootstrap_weights
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
    weights = bootstrap_weights(range(len(labels)), labels, resamples=4000, seed=0)
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


def test_one_image_a_patient_is_the_classic_value_to_the_bit(case):
    labels, *scores = case
    placed = rankdata(np.stack(scores), axis=1)
    above = placed[:, labels] - rankdata(np.stack(scores)[:, labels], axis=1)
    below = placed[:, ~labels] - rankdata(np.stack(scores)[:, ~labels], axis=1)
    classic = np.cov(above / (~labels).sum()) / labels.sum()
    classic = classic + np.cov(1 - below / labels.sum()) / (~labels).sum()
    names = [f"patient {i * 7 % 300}" for i in range(300)]
    np.testing.assert_array_equal(delong(labels, np.stack(scores), names)[1], classic)
    np.testing.assert_array_equal(delong(labels, np.stack(scores))[1], classic)


def test_obuchowski_by_a_loop():
    generator = np.random.default_rng(1)
    labels, patients = generator.random(80) < 0.4, generator.integers(0, 25, 80)
    scores = np.round(generator.standard_normal((2, 80)) + labels, 1)
    values, covariance = delong(labels, scores, patients)
    m, n, everyone = labels.sum(), (~labels).sum(), np.unique(patients)
    above = [[np.mean((s > each[~labels]) + (s == each[~labels]) / 2) for s in each]
             for each in scores]  # fmt: skip
    below = [[np.mean((s < each[labels]) + (s == each[labels]) / 2) for s in each]
             for each in scores]  # fmt: skip

    def sums(placed, kind, r):
        own = [kind & (patients == who) for who in everyone]
        return np.array([np.sum(np.array(placed[r])[o]) - o.sum() * values[r] for o in own])

    with_positive, with_negative = len(set(patients[labels])), len(set(patients[~labels]))
    for r in range(2):
        for s in range(2):
            x, y = sums(above, labels, r), sums(above, labels, s)
            v, w = sums(below, ~labels, r), sums(below, ~labels, s)
            s10 = with_positive / (with_positive - 1) / m * (x @ y)
            s01 = with_negative / (with_negative - 1) / n * (v @ w)
            s11 = len(everyone) / (len(everyone) - 1) * (x @ w + v @ y)
            expected = s10 / m + s01 / n + s11 / (m * n)
            assert covariance[r, s] == pytest.approx(expected, rel=1e-10)


def repeated(generator, patients=40, images=5):
    """Two models without a difference; images of a patient are alike, two in five are positive."""
    who = np.repeat(np.arange(patients), images)
    labels = np.where(
        generator.random(patients)[who] < 0.5, generator.random(len(who)) < 0.8, False
    )
    scores = generator.standard_normal((2, patients))[:, who]
    scores = scores + 0.3 * generator.standard_normal((2, len(who))) + labels
    return who, labels, scores


def test_p_is_uniform_where_patients_repeat():
    generator, found = np.random.default_rng(4), []
    for _ in range(400):
        who, labels, scores = repeated(generator)
        found.append([delong_difference(labels, *scores, names)[1] for names in (who, None)])
    rejected, taken_apart = (np.array(found) < 0.05).mean(axis=0)
    assert rejected == pytest.approx(0.05, abs=0.03)
    assert taken_apart > 0.25, "images taken for independent: far too many differences"


def test_agrees_with_the_bootstrap_over_patients():
    who, labels, (first, second) = repeated(np.random.default_rng(5), patients=200)
    weights = bootstrap_weights(who.astype(str), resamples=3000, seed=0)
    drawn = bootstrap_auc(labels, first, weights) - bootstrap_auc(labels, second, weights)
    found, _ = delong_difference(labels, first, second, who)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(drawn.std(), rel=0.08)


def test_two_clusters_of_each_label_are_needed():
    labels, patients = np.array([True, True, False, False]), ["a", "a", "b", "c"]
    with pytest.raises(ValueError, match="2 positive and 2 negative in 1 and 2 clusters"):
        delong(labels, np.arange(4.0)[None], patients)
