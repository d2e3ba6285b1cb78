"""Splits keep groups together; records keep their schema and come back from disk unchanged."""

import errno

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.data import (
    drawn_of,
    findings_of,
    grouped_split,
    read_records,
    validate_records,
    write_record_parts,
    write_records,
)
from offclip.phantom import Finding

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
studies = st.lists(
    st.tuples(
        st.sampled_from("abcdefghij"), st.sampled_from("uvwxyz") | st.just(" "), st.booleans()
    ),
    max_size=40,
)


@settings(deadline=None)
@given(studies, st.integers(0, 5))
def test_nothing_is_in_two_splits(rows, seed):
    patients = [row[0] for row in rows]
    texts = [row[1] for row in rows]
    flags = [row[2] for row in rows]
    split = grouped_split(patients, texts, seed=seed, fractions=FRACTIONS, is_normal=flags)
    for keys in (patients, texts):
        for key in set(keys) - {" "}:
            assert len({s for s, k in zip(split, keys, strict=True) if k == key}) == 1
    order = np.random.default_rng(seed).permutation(len(rows))
    again = grouped_split(
        [patients[i] for i in order],
        [texts[i] for i in order],
        seed=seed,
        fractions=FRACTIONS,
        is_normal=[flags[i] for i in order],
    )
    if len(set(zip(patients, texts, strict=True))) == len(rows):
        assert again == [split[i] for i in order]


def test_shares_are_met_in_both_classes():
    flags = [i % 3 == 0 for i in range(3000)]
    texts = [f"text {i if i % 5 else i % 50}" for i in range(3000)]
    ids = [str(i) for i in range(3000)]
    split = np.array(grouped_split(ids, texts, seed=1, fractions=FRACTIONS, is_normal=flags))
    for flag in (True, False):
        chosen = split[np.array(flags) == flag]
        for name, share in FRACTIONS.items():
            assert abs((chosen == name).mean() - share) < 0.03


def test_case_and_white_space_do_not_part_texts():
    split = grouped_split(
        ["1", "2"], ["A  b.", "a b."], seed=0, fractions={"train": 0.5, "test": 0.5}
    )
    assert split[0] == split[1]
    assert grouped_split([], [], seed=0, fractions=FRACTIONS) == []


@pytest.mark.parametrize(
    "fractions",
    [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"dev": 1.0}, {"train": float("nan")}],
)
def test_fractions_are_checked(fractions):
    with pytest.raises(ValueError, match="fractions"):
        grouped_split(["1"], ["a"], seed=0, fractions=fractions)


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="one text and flag"):
        grouped_split(["1"], [], seed=0, fractions=FRACTIONS)


FINDINGS = (
    Finding("Cardiomegaly", severity="mild"),
    Finding("Nodule", "left", "upper", None, True),
)


@pytest.fixture
def records():
    rows = []
    for index, split in enumerate(["train", "train", "validation", "test"]):
        rows.append({
            "dataset": "synthetic", "study_id": f"S{index}", "patient_id": f"P{index}",
            "split": split, "image": "", "view": "PA", "sentences": ["Big heart."],
            "prompts": ["there is big heart"], "prompt_abnormal": [0.9], "is_normal": index == 3,
            "labels": {"Cardiomegaly": 1, "Nodule": None},
            "boxes": [{"label": "Nodule", "x_min": 1.0, "y_min": 2.0, "x_max": 3.0, "y_max": 4.0}],
            "width": 0, "height": 0, "access": "open",
            "drawn": drawn_of(FINDINGS[:index]), "not_drawn": ["Arthritis"] * index,
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("rendered", [True, False])
def test_round_trip(records, rendered, tmp_path):
    if not rendered:
        records = records.drop(columns=["drawn", "not_drawn"])
    found = read_records(write_records(records, tmp_path / "r.parquet"))
    pd.testing.assert_frame_equal(found, records)
    if rendered:
        assert findings_of(found["drawn"][2]) == FINDINGS


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("split", "dev"),
        ("study_id", ""),
        ("study_id", None),
        ("study_id", "S1"),
        ("patient_id", "P3"),
        ("prompt_abnormal", [1.5]),
        ("prompt_abnormal", [float("nan")]),
        ("prompt_abnormal", []),
        ("sentences", None),
        ("prompts", [""]),
        ("labels", {"Nodule": 2}),
        ("boxes", [{"label": "x"}]),
        ("boxes", [{"label": "x", "x_min": 3.0, "y_min": 0.0, "x_max": 1.0, "y_max": 1.0}]),
        (
            "boxes",
            [{"label": "x", "x_min": float("nan"), "y_min": 0.0, "x_max": 1.0, "y_max": 1.0}],
        ),
        ("access", "secret"),
        ("width", -1),
        ("drawn", [{"name": "Nodule", "side": "up"}]),
    ],
)
def test_schema_refuses(records, column, value, tmp_path):
    records.at[0, column] = value
    with pytest.raises(ValueError, match="records: expected the schema"):
        write_records(records, tmp_path / "r.parquet")
    assert not list(tmp_path.iterdir())


def test_missing_and_unknown_columns(records):
    for other in (
        records.drop(columns="labels"),
        records.assign(extra=1),
        records.drop(columns="drawn"),
    ):
        with pytest.raises(ValueError, match="schema"):
            validate_records(other)


def test_damaged_file(records, tmp_path):
    path = write_records(records, tmp_path / "r.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"r\.parquet.*curate again"):
        read_records(path)
    with pytest.raises(ValueError, match=r"absent\.parquet"):
        read_records(tmp_path / "absent.parquet")


def test_full_disk_leaves_nothing(records, tmp_path, monkeypatch):
    import pyarrow.parquet

    def full(_writer, _table):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pyarrow.parquet.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match=r"r\.parquet.*Free some space") as caught:
        write_records(records, tmp_path / "r.parquet")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_parts_make_one_file_and_are_checked_together(records, tmp_path):
    whole = read_records(write_records(records, tmp_path / "whole.parquet"))
    parts = [records.iloc[:2], records.iloc[2:]]
    assert read_records(write_record_parts(parts, tmp_path / "parts.parquet")).equals(whole)
    with pytest.raises(ValueError, match="it occurs twice"):
        write_record_parts([*parts, records.iloc[:1]], tmp_path / "twice.parquet")
    moved = records.iloc[:1].assign(study_id="another", split="test")
    assert records["split"][0] != "test"
    with pytest.raises(ValueError, match="a patient in two splits"):
        write_record_parts([*parts, moved], tmp_path / "apart.parquet")
    with pytest.raises(ValueError, match="expected at least one part"):
        write_record_parts([], tmp_path / "none.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"whole.parquet", "parts.parquet"}
