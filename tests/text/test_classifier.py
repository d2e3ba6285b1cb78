"""The sentence classifier on synthetic reports of our own words, and its file."""

import json

import numpy as np
import pytest

from offclip.text import NgramClassifier, SentenceClassifier

NORMAL = [
    "there is no pneumothorax", "there is no pleural effusion", "there is clear lung",
    "there is normal heart size", "there is normal mediastinum", "there is no focal consolidation",
]  # fmt: skip
ABNORMAL = [
    "there is cardiomegaly", "there is pleural effusion", "there is left lower opacity",
    "there is calcified granuloma", "there is scoliosis", "there is pneumothorax",
]  # fmt: skip


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    reports, flags = [], []
    for index in range(240):
        normal = index % 2 == 0
        report = list(rng.choice(NORMAL, 3, replace=False))
        reports.append(report if normal else [*report, *rng.choice(ABNORMAL, 2, replace=False)])
        flags.append(normal)
    return NgramClassifier.fit(reports, flags)


def test_separates_what_it_was_shown_only_by_report(classifier):
    assert isinstance(classifier, SentenceClassifier)
    assert classifier.abnormal_probability(NORMAL).max() < 0.5
    assert classifier.abnormal_probability(ABNORMAL).min() > 0.5


def test_negation_is_not_the_finding(classifier):
    low, high = classifier.abnormal_probability(
        ["there is no scoliosis", "there is mild scoliosis"]
    )
    assert low < 0.5 < high


def test_places_in_a_list_and_headings_state_nothing(classifier):
    headings = classifier.abnormal_probability(["Left ankle.", "The chest:"])
    assert (headings == 0).all()
    one, listed = classifier.abnormal_probability(
        ["no effusion", "heart, mediastinum, no effusion"]
    )
    assert one == listed


def test_empty_and_unknown_words(classifier):
    assert classifier.abnormal_probability([]).shape == (0,)
    values = classifier.abnormal_probability(["", "there is qwertyuiop"])
    assert np.isfinite(values).all()


def test_fit_is_deterministic_and_order_free(classifier):
    again = NgramClassifier.fit([NORMAL, ABNORMAL], [True, False])
    swapped = NgramClassifier.fit([ABNORMAL, NORMAL], [False, True])
    sentences = NORMAL + ABNORMAL
    np.testing.assert_allclose(
        again.abnormal_probability(sentences), swapped.abnormal_probability(sentences), atol=1e-3
    )


def test_round_trip(classifier, tmp_path):
    path = classifier.save(tmp_path / "classifier.json")
    assert NgramClassifier.load(path) == classifier


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"format": "other"}',
        '{"format": "offclip-ngram-classifier-2", "weights": 3}',
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "classifier.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"classifier\.json.*curate again"):
        NgramClassifier.load(path)


def test_infinite_weights_are_refused(tmp_path):
    path = tmp_path / "c.json"
    value = {"format": "offclip-ngram-classifier-2", "bias": float("inf"), "weights": {}}
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match="finite"):
        NgramClassifier.load(path)


def test_one_kind_only_is_refused():
    with pytest.raises(ValueError, match="only normal ones"):
        NgramClassifier.fit([NORMAL], [True])
    with pytest.raises(ValueError, match="only"):
        NgramClassifier.fit([], [])
    with pytest.raises(ValueError, match="one a report"):
        NgramClassifier.fit([NORMAL], [])
