"""Curation end to end: on synthetic reports, and on the real ones where they can be had."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from offclip.data import curate, findings_of
from offclip.data.curate import REASONS
from offclip.phantom import FINDINGS, Finding
from offclip.text import filter_prompts
from tests.data.synthetic import pack, report_xml, reports
from tests.paths import real_data
from tests.text.hand_labelled import ABNORMAL, NORMAL


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    text = {"findings": "Cardiomegaly."}
    files = reports(90) | {
        "a.xml": report_xml(901, majors=("normal",)),
        "b.xml": report_xml(902, majors=("No Indexing",), **text),
        "c.xml": report_xml(903, **text),
        "d.xml": report_xml(904, majors=("Technical Quality of Image Unsatisfactory",), **text),
        "e.xml": report_xml(905, findings="XXXX.", majors=("normal",)),
        "f.xml": "<broken",
    }
    return pack(tmp_path_factory.mktemp("reports") / "r.tgz", files)


def test_counts_say_where_each_report_went(archive, tmp_path):
    result = curate(tmp_path, reports=archive)
    counts = result.counts
    assert counts["files"] == 96
    assert counts["malformed_files"][0][0] == "f.xml"
    assert {reason: counts[reason] for reason in REASONS} == {
        "empty": 1, "not_indexed": 2, "quality_only": 1, "no_prompt": 1,
    }  # fmt: skip
    assert counts["kept"] == len(result.records) == 90
    assert result.records["is_normal"].sum() == 30
    first = result.records.iloc[0]
    assert findings_of(first["drawn"])[0] == Finding("Cardiomegaly", severity="mild")
    assert json.loads((tmp_path / "counts.json").read_text()) == counts


def test_a_second_run_returns_the_saved_result(archive, tmp_path):
    first = curate(tmp_path, reports=archive)
    before = (tmp_path / "records.parquet").stat().st_mtime_ns
    again = curate(tmp_path, reports=archive)
    assert (tmp_path / "records.parquet").stat().st_mtime_ns == before
    assert again.records.equals(first.records)
    assert again.classifier == first.classifier
    assert curate(tmp_path).records.equals(first.records), "a folder keeps its reports and seed"
    with pytest.raises(ValueError, match="expected curated records .*: seed 0, now 1; .*--force"):
        curate(tmp_path, seed=1)
    assert (tmp_path / "records.parquet").stat().st_mtime_ns == before
    other = curate(tmp_path, seed=1, force=True)
    assert (tmp_path / "records.parquet").stat().st_mtime_ns != before
    assert list(other.records["split"]) != list(first.records["split"])
    assert curate(tmp_path).records.equals(other.records)


@pytest.mark.parametrize("name", ["records.parquet", "classifier.json", "counts.json"])
def test_a_damaged_result_is_made_again(archive, tmp_path, name):
    first = curate(tmp_path, reports=archive)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert curate(tmp_path, reports=archive).records.equals(first.records)
    assert path.read_bytes() == whole


def test_no_usable_report(tmp_path):
    archive = pack(tmp_path / "r.tgz", {"1.xml": report_xml(1)})
    with pytest.raises(ValueError, match="at least one report with text"):
        curate(tmp_path / "out", reports=archive)
    assert not (tmp_path / "out").exists()


def test_killed_while_writing_leaves_nothing_that_is_taken_for_good(archive, tmp_path):
    out = tmp_path / "out"
    code = (
        "import sys, time, pyarrow.parquet\n"
        "writer = pyarrow.parquet.ParquetWriter\n"
        "whole = writer.write_table\n"
        "def slow(self, table):\n"
        "    whole(self, table)\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "writer.write_table = slow\n"
        "from offclip.data import curate\n"
        "curate(sys.argv[1], reports=sys.argv[2])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(out), str(archive)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "writing\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not [path for path in out.iterdir() if not path.name.startswith(".")]
    assert len(curate(out, reports=archive).records) == 90


def test_the_real_reports(real):
    counts, records = real.counts, real.records
    assert (counts["files"], counts["malformed"], counts["empty"]) == (3955, 0, 28)
    assert counts["not_indexed"] == 95
    assert records["is_normal"].sum() == 1363
    shares = records["split"].value_counts(normalize=True)
    for name, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert abs(shares[name] - share) < 0.01
    text = records["sentences"].map(lambda s: " ".join(" ".join(s).lower().split()))
    assert (records.groupby(text)["split"].nunique() == 1).all()
    assert {f["name"] for row in records["drawn"] for f in row} <= set(FINDINGS)
    assert all(not row for row in records.loc[records["is_normal"], "drawn"])


def test_the_classifier_agrees_with_people_on_reports(real):
    records = real.records
    part = records[records["split"] == "validation"]
    abnormal = part["prompt_abnormal"].map(max) >= 0.5
    normal = part["is_normal"]
    assert abnormal[~normal].mean() > 0.97  # sensitivity
    assert (~abnormal[normal]).mean() > 0.85  # specificity
    kept = dropped = 0
    for row in part[~normal].itertuples():
        keep, drop = filter_prompts(row.prompts, row.prompt_abnormal, False)
        kept, dropped = kept + len(keep), dropped + len(drop)
    assert 0.3 < kept / (kept + dropped) < 0.6


def test_sentences_agree_with_the_findings_that_people_gave_to_reports(real):
    """Fourteen findings of another annotation: a report with one of them says so somewhere."""
    table = pd.read_csv(real_data("openi_gold") / "openi_gld_std14.csv").set_index("filename")
    records = real.records.set_index("study_id")
    held_out = records[records["split"] != "train"].join(table, how="inner")
    highest = held_out["sentences"].map(
        lambda each: real.classifier.abnormal_probability(list(each)).max()
    )
    found = table.columns.drop("normal")
    abnormal = held_out[found].max(axis=1) == 1
    assert len(held_out) > 1000 and abnormal.sum() > 250
    assert (highest[abnormal] >= 0.5).mean() > 0.98
    assert (highest[held_out["normal"] == 1] < 0.5).mean() > 0.8


def test_the_classifier_on_hand_labelled_prompts(real):
    classifier = real.classifier
    assert (classifier.abnormal_probability(ABNORMAL) >= 0.5).mean() > 0.95
    assert (classifier.abnormal_probability(NORMAL) < 0.5).mean() > 0.9


def test_normal_flag_equals_the_gold_table(real):
    path = real_data("openi_gold") / "openi_gld_std14.csv"
    with path.open() as file:
        gold = {row["filename"].removesuffix(".xml"): row for row in csv.DictReader(file)}
    records = real.records.set_index("study_id")
    shared = [name for name in records.index if name in gold]
    assert len(shared) > 3500
    column = next(name for name in next(iter(gold.values())) if name.lower() == "normal")
    expected = np.array([float(gold[name][column]) == 1 for name in shared])
    assert (records.loc[shared, "is_normal"].to_numpy() == expected).all()
