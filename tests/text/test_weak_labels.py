"""Labels of fragments by word lists, by report and by rounds."""

import numpy as np
import pytest

from offclip.text.assertions import fragments
from offclip.text.weak_labels import (
    ABNORMAL,
    NORMAL,
    UNKNOWN,
    dictionary,
    first_labels,
    only_a_place,
    relabel,
    rule_label,
    usable,
)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a small effusion", ABNORMAL),
        ("no effusion", NORMAL),
        ("clear lungs", NORMAL),
        ("the left lung", NORMAL),
        ("please correlate clinically", NORMAL),
        ("calcified granulomas in clear lungs", ABNORMAL),
        ("a shadow", UNKNOWN),
    ],
)
def test_rules(text, label):
    (part,) = fragments(text)
    assert rule_label(part) == label


def test_a_place_alone_states_nothing():
    assert [only_a_place(part) for part in fragments("Left ankle, the hilar contour, a mass")] == [
        True, True, False
    ]  # fmt: skip


def test_dictionary_teaches_both_sides_of_a_finding():
    words, abnormal = dictionary()
    label = {word: flag for (word,), flag in zip(words, abnormal, strict=True)}
    assert len(label) == len(words)
    assert label["is:effusion"] and not label["no:effusion"] and not label["is:clear"]


def test_first_labels_and_contradictions():
    rules = np.array([ABNORMAL, NORMAL, UNKNOWN, UNKNOWN, ABNORMAL])
    normal_report = np.array([False, False, False, True, True])
    assert first_labels(rules, normal_report).tolist() == [True, False, True, False, True]
    assert usable(rules, normal_report).tolist() == [True, True, True, True, False]


def test_relabel_keeps_one_abnormal_fragment_per_abnormal_report():
    rules = np.array([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, NORMAL, ABNORMAL])
    report = np.array([0, 0, 1, 1, 2, 2])
    normal_report = np.array([False, False, True, True, False, False])
    score = np.array([0.1, 0.3, 0.9, 0.2, 0.9, 0.1])
    labels = relabel(score, rules, report, normal_report, 0.5)
    assert labels.tolist() == [False, True, False, False, False, True]
    higher = relabel(score, rules, report, normal_report, 0.05)
    assert higher.tolist() == [True, True, False, False, False, True]


def test_relabel_of_nothing():
    empty = np.zeros(0, dtype=np.int64)
    flags = np.zeros(0, dtype=bool)
    assert relabel(np.zeros(0), empty, empty, flags, 0.5).shape == (0,)
