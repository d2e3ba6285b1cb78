"""The protocol on fake score tables for which the answers must be 1 or one half."""

import numpy as np
import pandas as pd
import pytest

from offclip.evaluation import Protocol, bootstrap_weights, measure, pointing_game, questions
from offclip.evaluation import protocol as protocol_module
from offclip.evaluation.protocol import measure_normality, validation_metrics

PROTOCOL = Protocol(
    {"Nodule": "nodule", "Effusion": "pleural effusion", "Rare": "rare thing"},
    ["there is no finding", "there is no nodule"],
    min_positives=5,
)


@pytest.fixture
def cases():
    kinds = ["normal"] * 20 + ["Nodule"] * 10 + ["Effusion"] * 10 + ["Rare"] * 2
    return pd.DataFrame(
        {
            "study_id": [f"s{i}" for i in range(len(kinds))],
            "is_normal": [kind == "normal" for kind in kinds],
            "labels": [{name: int(kind == name) for name in PROTOCOL.phrases} for kind in kinds],
        }
    )


def perfect_table(cases, order=None):
    """Every prompt scores exactly the cases it is true of."""
    columns = {}
    for prompt in PROTOCOL.prompts:
        phrase = prompt.removeprefix("there is ")
        negated = phrase.startswith("no ")
        names = [n for n, p in PROTOCOL.phrases.items() if p == phrase.removeprefix("no ")]
        has = np.array([any(labels[n] for n in names) for labels in cases["labels"]], dtype=float)
        columns[prompt] = cases["is_normal"].astype(float) if negated else has
    table = pd.DataFrame(columns)
    table.index = cases["study_id"]
    return table if order is None else table.iloc[order]


def test_a_perfect_model_scores_one_whatever_the_order_of_its_rows(cases):
    order = np.random.default_rng(0).permutation(len(cases))
    weights = bootstrap_weights(
        list(cases["study_id"]), cases["is_normal"].to_numpy(), resamples=10, seed=0
    )
    answers = measure(questions(perfect_table(cases, order), cases, PROTOCOL), weights)
    assert answers and all(value == 1.0 for value, _ in answers.values())
    details = {detail for metric, detail in answers if metric == "abnormal_auc_pos"}
    assert details == {"Nodule", "Effusion", "mean"}, "a class with two positives has no AUC"
    assert {detail for metric, detail in answers if metric == "normal_auc"} == {
        *PROTOCOL.normal_prompts,
        "mean",
    }


def test_knowing_that_something_is_wrong_is_told_from_knowing_what(cases):
    table = perfect_table(cases)
    for prompt in ("there is nodule", "there is pleural effusion"):
        table[prompt] = (~cases["is_normal"]).to_numpy(dtype=float)  # fires at every finding
    asked = questions(table, cases, PROTOCOL)
    answers = measure(asked, np.ones((1, len(cases))))
    assert answers["abnormal_auc_pos_against_normal", "mean"][0] == 1.0
    assert answers["abnormal_auc_pos_among_abnormal", "mean"][0] == 0.5
    counts = {q.metric: int(q.among.sum()) for q in asked if q.detail == "Nodule"}
    assert counts["abnormal_auc_pos_against_normal"] == 30
    assert counts["abnormal_auc_pos_among_abnormal"] == 22
    assert counts["abnormal_auc_pos"] == 42


def test_resamples_made_in_blocks_are_those_made_at_once(cases, monkeypatch):
    noise = np.random.default_rng(1).normal(size=(len(cases), len(PROTOCOL.prompts)))
    asked = questions(perfect_table(cases) + noise.round(1), cases, PROTOCOL)
    weights = bootstrap_weights(
        list(cases["study_id"]), cases["is_normal"].to_numpy(), resamples=25, seed=0
    )
    whole = measure(asked, weights)
    monkeypatch.setattr(protocol_module, "CELLS", 7 * len(cases))
    for key, (value, resampled) in measure(asked, weights).items():
        assert value == whole[key][0]
        np.testing.assert_array_equal(resampled, whole[key][1])


def test_a_class_of_every_abnormal_case_has_nothing_among_them(cases):
    labels = [{**case.labels, "Nodule": int(not case.is_normal)} for case in cases.itertuples()]
    asked = questions(perfect_table(cases), cases.assign(labels=labels), PROTOCOL)
    among = {q.detail for q in asked if q.metric.endswith("among_abnormal")}
    assert among == {"Effusion"}


def test_a_constant_model_scores_one_half(cases):
    table = perfect_table(cases) * 0.0
    values = validation_metrics(table, cases, PROTOCOL)
    assert values == {"normal_auc": 0.5, "abnormal_auc_pos": 0.5}


def test_thresholds_come_from_validation(cases):
    table = perfect_table(cases)
    validation = questions(table, cases, PROTOCOL)
    shifted = questions(table - 1.5, cases, PROTOCOL)
    weights = np.ones((2, len(cases)))
    for test, expected in ((validation, 1.0), (shifted, 0.5)):
        answers = measure_normality(validation, test, weights)
        found = {d: value for (m, d), (value, _) in answers.items() if m.endswith("accuracy")}
        assert set(found) == {*PROTOCOL.normal_prompts, "mean"} and set(found.values()) == {
            expected
        }


def test_a_case_without_scores_is_an_error(cases):
    with pytest.raises(KeyError, match="s41"):
        questions(perfect_table(cases).iloc[:-1], cases, PROTOCOL)


def test_pointing_hits_the_box_of_the_class_asked_for():
    boxes = {
        "a": [
            {"label": "Nodule", "x_min": 0, "y_min": 0, "x_max": 16, "y_max": 32},
            {"label": "Effusion", "x_min": 48, "y_min": 48, "x_max": 64, "y_max": 64},
        ],
        "b": [{"label": "Nodule", "x_min": 32, "y_min": 0, "x_max": 64, "y_max": 16}],
    }
    maps = np.zeros((3, 2, 4, 4))
    maps[0, 0, 1, 0] = 1  # in a's nodule
    maps[0, 1, 0, 0] = 1  # in a's nodule, asked for the effusion: a miss
    maps[1, 0, 0, 3] = 1  # in b's nodule
    found = pointing_game(maps, ["a", "b", "c"], ["Nodule", "Effusion"], boxes, 64)
    assert found["hit"].tolist() == [True, False, True]
    assert found["chance"].tolist() == [2 / 16, 1 / 16, 2 / 16]
    with pytest.raises(ValueError, match="maps: expected"):
        pointing_game(maps, ["a"], ["Nodule"], boxes, 64)
