"""Pointing with intervals: the oracle draws the images one by one."""

import numpy as np
import pandas as pd
import pytest

from offclip.evaluation import bootstrap_pointing, stratified_weights

IDS = [f"s{i}" for i in range(30)]


@pytest.fixture
def hits():
    rng = np.random.default_rng(0)
    rows = [(i, label) for label, n in (("A", 25), ("B", 12), ("C", 3)) for i in IDS[:n]]
    table = pd.DataFrame(rows, columns=["id", "label"])
    return table.assign(hit=rng.random(len(table)) < 0.4, chance=0.1)


def test_every_resample_equals_drawing_its_images(hits):
    weights = stratified_weights(np.zeros(30, dtype=bool), resamples=20, seed=0)
    answers = bootstrap_pointing(hits, IDS, weights, least=10)
    assert list(answers) == ["A", "B", "mean"]
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


def test_no_class_with_enough_cases(hits):
    assert bootstrap_pointing(hits, IDS, np.ones((2, 30)), least=99) == {}


def test_an_unknown_image_is_named(hits):
    with pytest.raises(KeyError, match="s24"):
        bootstrap_pointing(hits, IDS[:24], np.ones((2, 24)), least=10)
