"""The benchmark of the segmenters counts boundaries as it says. All text here is our own."""

import numpy as np
import pytest

from benchmarks.segmenters import boundaries, compare, locate, ratios, records
from offclip.evaluation import write_evidence

TEXT = "Findings: 1. Big heart; clear lungs. 2. No edema."
SENTENCES = ["Big heart", "clear lungs.", "No edema."]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([22, 36], [2, 2, 2, 1, 1, 1]),  # at the semicolon, and after "lungs."
        ([12, 36, 39], [1, 1, 2, 1, 1, 1]),  # list numbers on their own cost nothing
        ([16], [0, 1, 2, 0, 1, 1]),  # "Big" is no sentence
        ([], [0, 0, 2, 0, 0, 1]),
    ],
)
def test_boundaries_are_counted_between_words(ends, expected):
    assert boundaries(SENTENCES, [TEXT], [ends]) == expected


def test_the_end_of_a_block_is_a_boundary():
    assert boundaries(["Big heart", "No edema"], ["Big heart", "No edema"], [[], []])[:3] == [1] * 3


def test_a_sentence_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="expected one whose words stand in the text"):
        locate(["Small heart"], TEXT)


def test_ratios():
    assert ratios(np.array([3, 4, 6])) == pytest.approx((0.75, 0.5, 0.6))


def test_a_perfect_and_a_blind_score_are_recorded(tmp_path):
    perfect = np.array([[2, 2, 2, 1, 1, 1], [4, 4, 4, 4, 4, 4]])
    found = {"ours": ("image", perfect, 1.0), "none": ("image", perfect * [0, 0, 1, 0, 0, 1], 1.0)}
    made = records(found, "development", 2, 0.1)
    assert [record.value for record in made] == [1.0] * 6 + [0.0] * 6
    assert {record.interval for record in made} == {(1.0, 1.0), (0.0, 0.0)}
    assert [record.n for record in made[:6]] == [6] * 3 + [5] * 3
    write_evidence(tmp_path / "records.csv", made)


def test_ours_is_compared_without_any_other_installed():
    report = {"text": {"FINDINGS": TEXT}, "sentences": SENTENCES}
    form, counts, speed = compare([report])["ours"]
    assert form == "image" and speed > 0
    assert counts.tolist() == [[2, 2, 2, 1, 1, 1]]
