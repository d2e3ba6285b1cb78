"""The bootstrap: resamples, their intervals, and how often these cover the truth."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from offclip.evaluation import (
    auc,
    bootstrap_auc,
    bootstrap_weights,
    percentile_interval,
    resampled_over_seeds,
)


def random_case(seed=0, n=60, decimals=1):
    generator = np.random.default_rng(seed)
    labels = generator.random(n) < 0.4
    return labels, np.round(generator.standard_normal(n) + labels, decimals)


def test_each_resample_is_the_auc_of_the_resampled_images():
    labels, scores = random_case()
    weights = bootstrap_weights(range(len(labels)), labels, resamples=20, seed=1)
    fast = bootstrap_auc(labels, scores, weights)
    for weight, value in zip(weights, fast, strict=True):
        drawn = np.repeat(np.arange(len(labels)), weight.astype(int))
        assert value == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]))


def test_strata_keep_their_size():
    labels, _ = random_case()
    weights = bootstrap_weights(range(len(labels)), labels, resamples=50, seed=0)
    assert (weights[:, labels].sum(1) == labels.sum()).all()
    assert (weights[:, ~labels].sum(1) == (~labels).sum()).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """AUC of two unit Gaussians one apart is Phi(1/sqrt 2) = 0.7602."""
    truth, covered = 0.7602, 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        labels = np.arange(120) < 60
        scores = generator.standard_normal(120) + labels
        resampled = bootstrap_auc(
            labels, scores, bootstrap_weights(range(len(labels)), labels, resamples=300, seed=0)
        )
        interval = percentile_interval(auc(labels, scores), resampled)
        covered += interval.low <= truth <= interval.high
    assert 88 <= covered <= 99


def test_pairing_narrows_a_difference():
    labels, scores = random_case(n=200)
    other = scores + 0.05 * np.random.default_rng(1).standard_normal(200)
    same, apart = (
        bootstrap_weights(range(len(labels)), labels, resamples=300, seed=s) for s in (0, 1)
    )
    paired = bootstrap_auc(labels, scores, same) - bootstrap_auc(labels, other, same)
    unpaired = bootstrap_auc(labels, scores, same) - bootstrap_auc(labels, other, apart)
    assert np.std(paired) < 0.3 * np.std(unpaired)


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_without_noise_of_the_images_it_is_the_t_interval_of_the_seeds(seeds):
    values = np.random.default_rng(seeds).normal(0.9, 0.02, seeds)
    drawn = resampled_over_seeds(np.repeat(values[:, None], 4000, axis=1))
    interval = percentile_interval(values.mean(), drawn)
    half = student_t.ppf(0.975, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds)
    assert interval.high - values.mean() == pytest.approx(half, rel=0.02)
    assert values.mean() - interval.low == pytest.approx(half, rel=0.02)


def test_images_and_seeds_both_count():
    generator = np.random.default_rng(0)
    seeds, images = generator.normal(0, 0.02, (8, 1)), generator.normal(0, 0.01, 40_000)
    drawn = resampled_over_seeds(seeds + images)
    expected = np.sqrt(7 / 5 * seeds.std(ddof=1) ** 2 / 8 + 0.01**2)  # t of 7 has variance 7/5
    assert drawn.std() == pytest.approx(expected, rel=0.03)


def test_a_resample_without_a_value_in_one_seed_is_left_out():
    runs = np.random.default_rng(0).random((3, 1000))
    gone = runs.copy()
    gone[1, 7] = np.nan
    ours, theirs = resampled_over_seeds(gone), resampled_over_seeds(runs)
    assert np.isnan(ours).nonzero()[0].tolist() == [7]
    intervals = [percentile_interval(0.5, drawn) for drawn in (ours, theirs)]
    assert intervals[0].high == pytest.approx(intervals[1].high, rel=0.02)


def test_one_seed_has_the_images_alone_and_differences_are_paired():
    one = np.random.default_rng(0).random((1, 50))
    np.testing.assert_array_equal(resampled_over_seeds(one), one[0])
    runs = np.random.default_rng(1).random((3, 50))
    shifted = resampled_over_seeds(runs + 0.1) - resampled_over_seeds(runs)
    np.testing.assert_allclose(shifted, 0.1)


def test_images_of_a_patient_are_drawn_together():
    weights = bootstrap_weights(["a", "b", "a", "c"], resamples=500, seed=0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert abs(weights.mean(axis=0) - 1).max() < 0.15


def test_without_strata_the_order_of_the_images_does_not_matter():
    names, order = np.array(["d", "a", "b", "a", "c"]), [3, 0, 4, 2, 1]
    weights, shuffled = (
        bootstrap_weights(each, resamples=50, seed=0) for each in (names, names[order])
    )
    np.testing.assert_array_equal(weights[:, order], shuffled)


def test_clusters_of_one_image_are_images_to_the_bit():
    labels, _ = random_case()
    names = [f"patient {i * 7 % 60}" for i in range(60)]
    plain, named = (
        bootstrap_weights(each, labels, resamples=50, seed=0) for each in (range(60), names)
    )
    np.testing.assert_array_equal(plain, named)
    generator = np.random.default_rng(0)  # the draws of the stored records
    for stratum in (False, True):
        members = np.flatnonzero(labels == stratum)
        share = np.full(len(members), 1 / len(members))
        drawn = generator.multinomial(len(members), share, size=50)
        np.testing.assert_array_equal(plain[:, members], drawn)


def test_a_cluster_is_drawn_whole_and_strata_keep_their_clusters():
    clusters = ["a", "b", "a", "c", "d", "d", "b"]
    normal = np.array([True, False, True, False, True, False, False])  # d has both: not all normal
    weights = bootstrap_weights(clusters, normal, resamples=200, seed=0)
    for one, other in ((0, 2), (1, 6), (4, 5)):
        np.testing.assert_array_equal(weights[:, one], weights[:, other])
    assert (weights[:, 0] == 1).all(), "the only patient whose images are all normal"
    assert (weights[:, [1, 3, 4]].sum(axis=1) == 3).all() and weights[:, 3].std() > 0


def test_intervals_cover_the_truth_where_patients_repeat():
    """AUC of two Gaussians one apart, of variance 1.09; the images of a patient share theirs."""
    truth, covered = float(norm.cdf(1 / np.sqrt(2 * 1.09))), {"patients": 0, "images": 0}
    for seed in range(100):
        generator = np.random.default_rng(seed)
        who = np.repeat(np.arange(60), 5)
        labels = who < 30
        scores = generator.standard_normal(60)[who] + 0.3 * generator.standard_normal(300) + labels
        value = auc(labels, scores)
        for unit, clusters in (("patients", who), ("images", range(300))):
            weights = bootstrap_weights(clusters, labels, resamples=200, seed=0)
            interval = percentile_interval(value, bootstrap_auc(labels, scores, weights))
            covered[unit] += interval.low <= truth <= interval.high
    assert 88 <= covered["patients"] <= 99
    assert covered["images"] < 75, "images taken for independent: too narrow"
