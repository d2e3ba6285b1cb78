"""Pointing with intervals: the oracle draws the images one by one."""

import numpy as np
import pandas as pd
import pytest

from offclip.evaluation import (
    Protocol,
    bootstrap_weights,
    measure,
    measure_pointing,
    place_prior,
    pointing_game,
    questions,
)

IDS = [f"s{i}" for i in range(30)]


@pytest.fixture
def hits():
    rng = np.random.default_rng(0)
    rows = [(i, label) for label, n in (("A", 25), ("B", 12), ("C", 3)) for i in IDS[:n]]
    table = pd.DataFrame(rows, columns=["id", "label"])
    return table.assign(
        hit=rng.random(len(table)) < 0.4, chance=table["label"].map({"A": 0.1, "B": 0.2, "C": 0.3})
    )


def test_every_resample_equals_drawing_its_images(hits):
    weights = bootstrap_weights(IDS, np.zeros(30, dtype=bool), resamples=20, seed=0)
    found = measure_pointing(hits, IDS, weights, least=10)
    answers = found.rates
    assert list(answers) == list(found.chance) == list(found.counts) == ["A", "B", "mean"]
    assert found.counts == {"A": 25, "B": 12, "mean": 37} and found.left_out == {"C": 3}
    assert found.chance == pytest.approx({"A": 0.1, "B": 0.2, "mean": 0.15})
    for label in ("A", "B"):
        cases = hits[hits["label"] == label].set_index("id")["hit"]
        value, resampled = answers[label]
        assert value == pytest.approx(cases.mean())
        for times, got in zip(weights, resampled, strict=True):
            drawn = [name for name, n in zip(IDS, times, strict=True) for _ in range(int(n))]
            found = [cases[name] for name in drawn if name in cases.index]
            assert got == pytest.approx(np.mean(found))
    mean, resampled = answers["mean"]
    assert mean == pytest.approx((answers["A"][0] + answers["B"][0]) / 2)
    np.testing.assert_allclose(resampled, (answers["A"][1] + answers["B"][1]) / 2)


def test_a_resample_without_a_class_has_no_mean(hits):
    """As in the protocol: the mean of the other classes is another quantity."""
    weights = bootstrap_weights(IDS, np.zeros(30, dtype=bool), resamples=20, seed=0)
    weights[3, :12] = 0  # no image of B
    answers = measure_pointing(hits, IDS, weights, least=10).rates
    assert np.isnan(answers["B"][1]).nonzero()[0].tolist() == [3]
    assert np.isnan(answers["mean"][1]).nonzero()[0].tolist() == [3]
    assert np.isfinite(answers["A"][1]).all()
    protocol = Protocol({"A": "a", "B": "b"}, [], min_positives=1)
    cases = pd.DataFrame({"study_id": IDS, "is_normal": False})
    cases["labels"] = [{"A": int(i < 15), "B": int(i < 12)} for i in range(30)]
    table = pd.DataFrame(
        np.random.default_rng(1).random((30, 4)), index=IDS, columns=protocol.prompts
    )
    found = measure(questions(table, cases, protocol), weights)["abnormal_auc_pos", "mean"]
    assert np.isnan(found[1]).nonzero()[0].tolist() == [3]


def test_no_class_with_enough_cases(hits):
    found = measure_pointing(hits, IDS, np.ones((2, 30)), least=99)
    assert found.rates == found.chance == found.counts == {}


def test_an_unknown_image_is_named(hits):
    with pytest.raises(KeyError, match="s24"):
        measure_pointing(hits, IDS[:24], np.ones((2, 24)), least=10)


def box(label, left, top, right, bottom):
    return {"label": label, "x_min": left, "y_min": top, "x_max": right, "y_max": bottom}


def test_tolerance_and_first_box_change_who_hits():
    maps = np.zeros((1, 1, 4, 4))
    maps[0, 0, 2, 1] = 1.0  # 64 px, cells of 16: the centre is at x = 24, y = 40
    boxes = {"a": [box("A", 30, 30, 60, 60), box("A", 20, 36, 28, 44)]}

    def play(**rule):
        return pointing_game(maps, ["a"], ["A"], boxes, 64, **rule).iloc[0]

    assert play().hit and not play(first_box=True).hit
    assert not play(first_box=True, tolerance=5.9).hit and play(first_box=True, tolerance=6.0).hit
    assert play(tolerance=6.0).chance > play().chance > play(first_box=True).chance
    with pytest.raises(ValueError, match="tolerance: expected pixels"):
        play(tolerance=-1.0)


def test_the_place_prior_counts_images():
    boxes = {
        "a": [box("A", 0, 0, 20, 20), box("A", 0, 0, 10, 10)],  # one image counts once
        "b": [box("A", 20, 4, 28, 10), box("B", 0, 0, 64, 64)],
    }
    prior = place_prior(boxes, ["A", "B", "C"], 4, 64)
    expected = np.zeros((4, 4))
    expected[0, 0] = expected[0, 1] = 1
    np.testing.assert_array_equal(prior[0], expected)
    assert (prior[1] == 1).all() and not prior[2].any()
