"""The gold file: read, joined with records, merged from two passes; and how its rows are drawn."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.gold_sample import allocate, candidates, sample
from offclip.data.gold import (
    COLUMNS,
    LABELS,
    PARTS,
    gold_path,
    join_gold,
    merge_passes,
    read_gold,
    sentence_key,
    without_reports_of,
    word_count,
    write_gold,
)

REPORTS = {
    "R1": ("validation", ["Our first sentence.", "The heart is large; no effusion, 1.5 cm."]),
    "R2": ("test", ["Both lungs look fine.", "A nodule hides behind the heart."]),
    "R3": ("train", ["Nothing to see here.", "The left lung is dark."]),
}


def records(reports=REPORTS):
    rows = [(study, split, sentences) for study, (split, sentences) in reports.items()]
    return pd.DataFrame(rows, columns=["study_id", "split", "sentences"])


def row(study, index, part, **given):
    text = REPORTS[study][1][index]
    words, key = word_count(text), sentence_key(text)
    values = [study, index, words, key, part, "00-05", 1.5, "normal", "abnormal", "normal"]
    return dict(zip(COLUMNS, values, strict=True)) | given


@pytest.fixture
def gold():
    return pd.DataFrame([row("R1", 1, "dev"), row("R2", 0, "spent"), row("R2", 1, "spent")])


def test_round_trip(gold, tmp_path):
    path = write_gold(tmp_path / "gold.csv", gold)
    pd.testing.assert_frame_equal(read_gold(path), gold, check_dtype=False)
    assert "heart" not in path.read_text(), "the file holds no report text"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sentence", -1), ("sentence", "x"), ("words", 0), ("text_sha256", "0123"),
        ("part", "test"), ("weight", 0.5), ("weight", float("inf")), ("label_a", "maybe"),
        ("label", "Normal"),
    ],
)  # fmt: skip
def test_bad_values_are_named_with_their_line(gold, tmp_path, column, value):
    gold = gold.astype(object)
    gold.loc[1, column] = value
    path = tmp_path / "gold.csv"
    gold.to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"gold\.csv, line 3: {column}.*restore"):
        read_gold(path)


def test_other_columns_and_repeated_texts_are_refused(gold, tmp_path):
    path = tmp_path / "gold.csv"
    gold.drop(columns="weight").to_csv(path, index=False)
    with pytest.raises(ValueError, match="expected the columns"):
        read_gold(path)
    write_gold(path, pd.concat([gold, gold.iloc[:1]]))
    with pytest.raises(ValueError, match="line 5: text_sha256"):
        read_gold(path)


def test_the_key_ignores_case_space_and_punctuation():
    assert sentence_key("No  effusion.") == sentence_key("no effusion")
    assert sentence_key("No effusion") != sentence_key("effusion no")
    assert word_count("A 1.5 cm nodule, left_base.") == 7


def test_join_finds_each_sentence_at_its_index(gold):
    expected = [REPORTS["R1"][1][1], *REPORTS["R2"][1]]
    assert join_gold(gold, records())["text"].tolist() == expected


def test_join_survives_another_segmentation(gold):
    other = REPORTS | {
        "R1": (
            "validation",
            ["Our first sentence.", "The heart is large;", "no effusion, 1.5 cm."],
        ),
        "R2": ("test", ["Both lungs look fine. A nodule hides behind the heart."]),
    }
    assert join_gold(gold, records(other))["text"].tolist() == [
        "The heart is large; no effusion, 1.5 cm",
        "Both lungs look fine",
        "A nodule hides behind the heart",
    ]


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ({"R2": ("test", ["Both lungs look bad."])}, "2 of 3.*R2, sentence 0.*4 words.*digest"),
        ({"R1": ("train", REPORTS["R1"][1])}, "1 of 3.*R1: expected split validation.*train"),
        ({"R2": ("validation", REPORTS["R2"][1])}, "2 of 3.*R2: expected split test"),
    ],
)
def test_join_names_the_first_mismatch(gold, reports, message):
    with pytest.raises(ValueError, match=f"{message}.*curate the reports"):
        join_gold(gold, records(REPORTS | reports))


def test_join_names_a_missing_study(gold):
    with pytest.raises(ValueError, match="R1: expected a record of this study, got none"):
        join_gold(gold, records({"R2": REPORTS["R2"]}))


def test_reports_that_hold_a_scored_text_are_left_out():
    reports = REPORTS | {
        "R4": ("train", ["A scar.", "the left lung is DARK!"]),
        "R5": ("train", ["A scar."]),
        "R6": ("validation", ["The left lung is dark."]),
    }
    scored = pd.DataFrame([row("R3", 1, "held_out")])
    rest = without_reports_of(scored, records(reports))
    assert rest["study_id"].tolist() == ["R1", "R2", "R5", "R6"]


def test_merge_takes_agreement_then_adjudication(gold):
    keys = gold["text_sha256"].tolist()
    first = dict(zip(keys, ["normal", "abnormal", "normal"], strict=True))
    second = dict(zip(keys, ["normal", "uncertain", "abnormal"], strict=True))
    assert merge_passes(gold, first, second)["label"].tolist() == ["normal", "", ""]
    merged = merge_passes(gold, first, second, {keys[2]: "uncertain"})
    assert merged["label"].tolist() == ["normal", "", "uncertain"]
    assert merged["label_a"].tolist() == list(first.values())
    assert merged["label_b"].tolist() == list(second.values())


def test_merge_refuses_what_does_not_fit(gold):
    keys = gold["text_sha256"].tolist()
    whole = dict.fromkeys(keys, "normal")
    with pytest.raises(ValueError, match="second pass.*1 missing"):
        merge_passes(gold, whole, dict.fromkeys(keys[1:], "normal"))
    with pytest.raises(ValueError, match="first pass.*1 not asked for"):
        merge_passes(gold, whole | {"other": "normal"}, whole)
    with pytest.raises(ValueError, match="first pass.*unknown labels \\['Normal'\\]"):
        merge_passes(gold, whole | {keys[0]: "Normal"}, whole)
    with pytest.raises(ValueError, match="adjudication.*not asked for"):
        merge_passes(gold, whole, whole, {keys[0]: "normal"})


def test_shares_follow_the_square_root_and_the_room():
    assert allocate({"a": 100, "b": 400, "c": 1}, 31) == {"a": 10, "b": 20, "c": 1}
    assert allocate({"a": 3, "b": 400}, 43) == {"a": 3, "b": 40}
    with pytest.raises(ValueError, match="at most 3"):
        allocate({"a": 3}, 4)


class ByLength:
    """A classifier for which longer prompts are more abnormal."""

    def abnormal_probability(self, sentences):
        return np.array([min(len(text) / 60, 1) for text in sentences])


def test_candidates_and_sample_of_known_reports():
    reports = {
        "R1": ("train", ["The lungs are clear.", "Heart is large.", "XXXX."]),
        "R2": ("validation", ["the lungs are CLEAR", "Small left effusion."]),
        "R3": ("test", ["Old scar!"]),
        "R4": ("train", ["Heart is LARGE", "Old scar.", "No edema. No edema.", "Right nodule."]),
    }
    found = candidates(records(reports), ByLength())
    texts = found[["study_id", "sentence", "part", "text"]].values.tolist()
    assert texts == [
        ["R1", 1, "held_out", "Heart is large."],
        ["R1", 2, "held_out", "XXXX."],
        ["R4", 2, "held_out", "No edema. No edema."],
        ["R4", 3, "held_out", "Right nodule."],
    ]
    assert found["stratum"].tolist()[1] == "no_prompt"
    drawn = sample(found, 3, seed=0)
    assert drawn.equals(sample(found, 3, seed=0))
    assert len(drawn) == 3
    assert drawn["weight"].sum() == 4


def test_the_committed_file_fits_the_real_reports(real):
    gold = read_gold(gold_path())
    assert gold["part"].value_counts().to_dict() == {"dev": 504, "spent": 756, "held_out": 508}
    joined = join_gold(gold, real.records)
    assert (joined["text"].map(sentence_key) == gold["text_sha256"]).all()
    train = real.records.query("split == 'train'")["sentences"].explode().dropna()
    known = gold[gold["part"] != "held_out"]
    assert not set(known["text_sha256"]) & set(train.map(sentence_key))
    unseen = without_reports_of(gold, real.records).query("split == 'train'")["sentences"]
    assert not set(gold["text_sha256"]) & set(unseen.explode().dropna().map(sentence_key))
    assert 0.7 * 2677 < len(unseen) < 2677 - 300
    assert set(PARTS) == set(gold["part"])
    assert set(gold["label"]) <= {*LABELS, ""}
