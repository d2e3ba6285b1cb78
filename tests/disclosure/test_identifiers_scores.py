"""Identifiers of restricted records, and scores of their images, are found on pages."""

import json

import numpy as np
import pandas as pd
import pytest

from offclip.data.records import write_records
from offclip.disclosure import local_copy
from tests.disclosure.made import IMAGES, LEFT_OUT, PATIENTS, STUDIES, private_copy, records, scores

NAMED = "identifiers of restricted records"
SCORED = "scores of single restricted images"


@pytest.mark.parametrize(
    "shown",
    [
        STUDIES[3],
        f"<td>{PATIENTS[3]}</td>",
        f"P{PATIENTS[3]}",
        f"see s{STUDIES[3]}.",
        f'<a href="files/{IMAGES[3].upper()}.jpg">x</a>',
        f"<img src='_images/{IMAGES[3]}.png'>",
        f"<!-- {STUDIES[3]} -->",
        f"<script>ids=['{STUDIES[3]}',1]</script>",
        json.dumps({"ids": [int(STUDIES[3])]}),
        LEFT_OUT,
    ],
)
def test_identifiers_are_found_and_not_repeated(found, shown):
    assert found({"page.html": shown}) == [f"site/page.html: 1 {NAMED}"]


@pytest.mark.parametrize(
    "shown",
    [
        f"1{STUDIES[3]}0 {STUDIES[3]}7 x{PATIENTS[3]}y",
        f"0.{STUDIES[3]} or {PATIENTS[3]}.5 or -1.{PATIENTS[3]}e-3",
        f"{STUDIES[3][:7]} {STUDIES[3][:4]} {STUDIES[3][4:]}",
        "files p10 train view1_frontal",
    ],
    ids=["longer numbers", "decimals", "parts", "folders"],
)
def test_what_is_no_identifier(found, shown):
    assert found({"page.html": shown}) == []


def test_the_name_of_a_file_is_masked(found):
    (fault,) = found({f"_images/{STUDIES[3]}.svg": "<svg></svg>"})
    assert fault == f"site/_images/… (file 1, .svg): 1 {NAMED}"


def test_uids_and_names_that_patients_share(found, tmp_path):
    table = records("registration", "chexpert", 4)
    uids = [f"1.2.826.0.1.3680043.8.498.{n}7" for n in range(4)]
    table["study_id"] = uids
    table["image"] = [f"test/patient6474{n}/study1/view1_frontal_000001.jpg" for n in range(4)]
    write_records(table, tmp_path / "uids" / "records.parquet")
    copy = local_copy([tmp_path / "uids"])
    pages = {
        "uid.html": uids[2],
        "shared.html": "view1_frontal_000001.jpg",
        "p.html": "patient64741",
    }
    assert found(pages, copy) == [f"site/p.html: 1 {NAMED}", f"site/uid.html: 1 {NAMED}"]


def shown_scores(kind):
    """Some of the scores, as pages have them."""
    table = scores()
    if kind == "row-wise HTML":
        return table.head(3).reset_index(drop=True).to_html(float_format="%.3f")
    if kind == "column":
        return " ".join(f"{value:.4f}" for value in table["edema"][2:6])
    if kind == "one column of a printed table":
        with_other = table[["edema"]].assign(rank=np.arange(len(table)) / 7)[3:9]
        return with_other.reset_index(drop=True).to_string(float_format="%.3f")
    if kind == "JSON with all digits":
        return json.dumps(table["nodule"][:4].tolist())
    return table.iloc[:5].to_csv(index=False)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("row-wise HTML", 9),
        ("column", 4),
        ("one column of a printed table", 6),
        ("JSON with all digits", 4),
        ("CSV", 15),
    ],
)
def test_scores_are_found(found, kind, count):
    assert found({"page.html": shown_scores(kind)}) == [f"site/page.html: {count} {SCORED}"]


def test_scores_among_the_values_of_evidence(found):
    values = scores()["edema"][:5].round(6)
    rows = [
        {"dataset": "x", "metric": "m", "value": v, "interval": [0.123, v / 3] if n % 2 else None,
         "n": 90, "minutes": 1.5}
        for n, v in enumerate(values)
    ]  # fmt: skip
    assert found({"r.json": json.dumps(rows)}) == [f"site/r.json: 5 {SCORED}"]


@pytest.mark.parametrize("wrong", ["three", "shuffled", "one digit", "zeros"])
def test_what_are_no_scores(found, wrong):
    column = scores()["edema"]
    values = {
        "three": column[:3],
        "shuffled": column.iloc[[5, 1, 9, 3, 7, 0, 11]],
        "one digit": column.round(1),
        "zeros": column * 0,
    }[wrong]
    digits = 1 if wrong == "one digit" else 4
    assert found({"page.html": " ".join(f"{v:.{digits}f}" for v in values)}) == []


def test_few_digits_need_longer_runs(found, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    private_copy(folder)
    large = pd.DataFrame(np.random.default_rng(0).random((20_000, 2)), columns=["a", "b"])
    large.insert(0, "study_id", [STUDIES[n % len(STUDIES)] for n in range(len(large))])
    large.to_csv(folder / "run" / "scores.csv", index=False)
    (folder / "run" / "empty.csv").touch()
    (folder / "run" / "ragged.csv").write_bytes(b"a,b\n1,2,3\n\xff,0.5\n")
    chance = " ".join(f"{v:.2f}" for v in np.random.default_rng(1).random(5_000))
    planted = " ".join(f"{v:.2f}" for v in large["a"][:16])
    against = local_copy([folder])
    pages = {"chance.html": chance, "planted.html": planted}
    assert found(pages, against) == [f"site/planted.html: 16 {SCORED}"]


def test_tables_of_open_records_are_no_secret(found, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    private_copy(folder, "open")
    write_records(records(count=1).assign(study_id="91119999"), tmp_path / "r" / "records.parquet")
    copy = local_copy([folder, tmp_path / "r"])
    assert found({"page.html": shown_scores("column")}, copy) == []
