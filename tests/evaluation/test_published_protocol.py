"""The published numbers against plain scikit-learn, ties and thresholds among them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, auc, precision_recall_curve, roc_auc_score, roc_curve

from offclip.evaluation.published_protocol import (
    ACCURACY,
    ALL,
    AUC,
    MACRO,
    POOLED,
    PublishedSet,
    accuracy_at_test_threshold,
    published_numbers,
)

EVERY = (AUC, ACCURACY, *POOLED)


@pytest.fixture
def tables():
    """Labels of 200 images, scores with many ties, one class that nobody has and one all have."""
    generator = np.random.default_rng(0)
    images = [f"i{k}" for k in range(200)]
    labels = pd.DataFrame(generator.random((200, 5)) < [0.5, 0.2, 0.1, 0, 1], index=images,
                          columns=list("abcde"))  # fmt: skip
    scores = pd.DataFrame(
        (labels * 1.0 + generator.normal(0, 1.5, (200, 5))).round(1), index=images,
        columns=list("abcde"),
    )  # fmt: skip
    return labels, scores


def test_numbers_are_those_of_plain_scikit_learn(tables):
    labels, scores = tables
    found = published_numbers(labels, scores, EVERY)
    truth, given = labels[list("abc")].to_numpy(), scores[list("abc")].to_numpy()
    aucs, accuracies, areas = [], [], []
    for i in range(3):
        fpr, tpr, thresholds = roc_curve(truth[:, i], given[:, i])
        aucs.append(auc(fpr, tpr))
        best = thresholds[np.argmax(tpr - fpr)]
        accuracies.append(accuracy_score(truth[:, i], given[:, i] > best))
        precision, recall, _ = precision_recall_curve(truth[:, i], given[:, i])
        areas.append(auc(recall, precision))
    precision, recall, _ = precision_recall_curve(truth.ravel(), given.ravel())
    expected = {(AUC, c): v for c, v in zip("abc", aucs, strict=True)}
    expected |= {(ACCURACY, c): v for c, v in zip("abc", accuracies, strict=True)}
    expected |= {
        (AUC, MACRO): np.mean(aucs),
        (ACCURACY, MACRO): np.mean(accuracies),
        (POOLED[0], ALL): roc_auc_score(truth, given, average="micro"),
        (POOLED[1], ALL): np.mean(areas),
        (POOLED[2], ALL): auc(recall, precision),
    }
    assert found.values == pytest.approx(expected)
    assert found.left_out == {"d": 0, "e": 200}


def test_the_image_at_the_threshold_is_lost():
    """A perfect order: all positives score 1, so 1 is the threshold, and nothing is above it."""
    labels, scores = np.array([True, True, False, False, False]), np.array([1, 1, 0, 0, 0.0])
    assert accuracy_at_test_threshold(labels, scores) == 0.6
    assert accuracy_at_test_threshold(labels, np.array([3, 2, 1, 0, 0.0])) == 0.8
    assert accuracy_at_test_threshold(labels, np.zeros(5)) == 0.6


def test_labels_and_scores_are_joined_by_image_and_class(tables):
    labels, scores = tables
    shuffled = scores.sample(frac=1, random_state=1)[list("edcba")].assign(other=0.0)
    assert published_numbers(labels, shuffled, EVERY) == published_numbers(labels, scores, EVERY)
    by_place = shuffled.drop(columns="other").set_axis(labels.index).set_axis(list("abcde"), axis=1)
    assert published_numbers(labels, by_place) != published_numbers(labels, scores)
    with pytest.raises(KeyError, match="i7"):
        published_numbers(labels, scores.drop("i7"))
    with pytest.raises(KeyError, match="a"):
        published_numbers(labels, scores.drop(columns="a"))


def test_no_class_with_both_kinds_is_no_number(tables):
    labels, scores = tables
    found = published_numbers(labels[["d", "e"]], scores, EVERY)
    assert found.values == {} and set(found.left_out) == {"d", "e"}


def cases(*labels):
    return pd.DataFrame({"image": [f"{k}.png" for k in range(len(labels))], "labels": labels})


def test_images_without_a_class_are_dropped_where_the_published_code_does():
    rules = PublishedSet({"A": "a thing", "Healthy": "no finding"}, normal="Healthy")
    rows = cases({"A": 1, "Rare": 0}, {"A": 0, "Rare": 1}, {"Healthy": 1}, {"A": None})
    assert rules.labels(rows)["A"].tolist() == [True, False, False, False]
    dropping = PublishedSet(rules.phrases, normal="Healthy", drops_unlabelled=True)
    assert list(dropping.labels(rows).index) == ["0.png", "2.png"]
    assert rules.prompts(rows) == {"A": "there is a thing", "Healthy": "there is no finding"}


def test_a_set_without_named_classes_takes_every_label_that_occurs():
    rules = PublishedSet({}, normal="normal", metrics=EVERY)
    rows = cases({"normal": 1}, {"NSG tube": 1, "absent": 0}, {"exclude": 1})
    assert rules.prompts(rows) == {
        "NSG tube": "there is nsg tube",
        "exclude": "there is exclude",
        "normal": "there is no finding",
    }
    assert rules.labels(rows).sum().tolist() == [1, 1, 1]


def test_labels_by_another_rule_have_a_prefix():
    rules = PublishedSet({"Mass": "mass"}, prefix="published/")
    assert rules.labels(cases({"Mass": 0, "published/Mass": 1})).to_numpy().tolist() == [[True]]
