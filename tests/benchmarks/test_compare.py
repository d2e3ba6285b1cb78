"""Comparisons from YAML files: what is trained, what is recorded, and what is refused."""

import re
from pathlib import Path

import pytest

from benchmarks import _common
from benchmarks import compare as module
from benchmarks.compare import Trained, chosen, main, read_comparison, spelled
from offclip.evaluation import RunInfo, read_evidence, write_evidence
from tests.study.conftest import SMALL, all_records

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "benchmarks" / "comparisons").glob("*.yaml"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a comparison in the small synthetic world; the table of its records."""

    class Curated:
        records = all_records()

    monkeypatch.setattr(_common, "curate", lambda _: Curated)
    monkeypatch.setattr(module, "settings_of_record", lambda: dict(SMALL))
    # three steps make models that call nobody abnormal: a predictive value is undefined for some
    monkeypatch.setattr("offclip.study.measured.measure_normality", lambda *_: {})

    def run(text, name="record"):
        (tmp_path / f"{name}.yaml").write_text(text)
        record = tmp_path / f"{name}.csv"
        arguments = [str(tmp_path / f"{name}.yaml"), "--out", str(tmp_path / "runs")]
        monkeypatch.setattr("sys.argv", ["compare", *arguments, "--record", str(record)])
        main()
        return read_evidence(record)

    return run


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_files_give_the_runs_of_the_records(file):
    """Variants, seeds and splits of every file are those of the record of its name."""
    comparison = read_comparison(file)
    table = read_evidence(ROOT / "book" / "results" / f"{file.stem}.csv")
    assert {entry.trained.variant for entry in comparison.entries} == set(table["variant"])
    assert set(table["seed"].dropna()) == set(comparison.seeds)
    assert set(table["split"]) - {"test_all"} == set(comparison.splits)
    if comparison.is_search:
        tried = {(e.trained.variant, spelled(e.trained.settings)) for e in comparison.entries}
        assert tried == set(zip(table["variant"], table["detail"], strict=True))
        return
    names = set()
    for entry in comparison.entries:
        config = comparison.configs(entry.trained)[0]
        variant, _, setting = entry.trained.name(config).partition(", ")
        names.add((variant, entry.name or setting))
    recorded = zip(table["variant"], table["setting"].fillna(""), strict=True)
    assert names == {each for each in recorded if each[1] or not comparison.as_study}


def test_a_change_is_compared_with_its_baseline_at_the_settings_of_record(run):
    table = run(
        "seeds: [0, 1]\nruns:\n- variants: [offclip]\n  settings: {image_widths: [8], steps: 2}\n"
        "  baseline: {variant: infonce}\n"
    )
    assert set(table["variant"]) == {"offclip"}
    assert set(table["setting"]) == {"image_widths [8]"}
    assert set(table["split"]) == {"validation", "test"} and set(table["seed"].dropna()) == {0, 1}
    baseline = run("seeds: [0, 1]\nruns: [{variants: [infonce]}]\n", "baseline")
    assert baseline["setting"].isna().all() and not baseline["metric"].str.contains("diff").any()

    def value(records, metric, detail):
        chosen = records[(records["metric"] == metric) & (records["detail"] == detail)]
        return chosen[(chosen["split"] == "test") & chosen["seed"].isna()]["value"].item()

    pair = "offclip, image_widths [8] minus infonce: mean"
    difference = value(table, "abnormal_auc_pos_difference", pair)
    ours, theirs = (value(each, "abnormal_auc_pos", "mean") for each in (table, baseline))
    assert difference == pytest.approx(ours - theirs, abs=2e-6)


def test_the_best_of_a_search_is_trained_with_all_seeds(run, tmp_path):
    text = (
        "seeds: [0]\nsearch:\n  settings: {infonce: [{learning_rate: 0.002}], "
        "offclip: [{balance: classes}]}\n  frontier: {offclip: [{form: bce}]}\n"
    )
    search = run(text, "search")
    assert set(search["detail"]) == {
        "of record", "learning_rate 0.002", "balance classes", "form bce",
    }  # fmt: skip
    assert set(search["metric"]) == {"normal_auc_search", "abnormal_auc_pos_search"}
    search.loc[search["detail"] == "balance classes", "value"] = 0.9
    search.loc[search["detail"] == "form bce", "value"] = 1.0  # of the frontier: not for choice
    search.loc[(search["variant"] == "infonce") & (search["detail"] == "of record"), "value"] = 1.0
    write_evidence(tmp_path / "search.csv", search)
    tuned = run(
        "seeds: [0, 1]\nsplits: [test]\nmetrics: [normal_auc, pointing]\nchosen_by: "
        "{search: search.yaml, record: search.csv, baseline: infonce}\n",
        "tuned",
    )
    names = set(zip(tuned["variant"], tuned["setting"], strict=True))
    assert names == {("infonce", "tuned: of record"), ("offclip", "tuned: balance classes")}
    assert set(tuned["metric"]) == {
        "normal_auc", "pointing", "normal_auc_difference", "pointing_difference",
    }  # fmt: skip
    against = tuned[tuned["metric"].str.endswith("_difference")]
    assert set(against["variant"]) == {"offclip"}
    assert against["detail"].str.startswith("offclip minus infonce: ").all()


def test_a_setting_without_a_record_cannot_be_chosen(tmp_path):
    own = RunInfo(dataset="toy", variant="infonce", seed=0)
    path = write_evidence(tmp_path / "s.csv", [own.record("test", "m", "of record", 0.5, 9)])
    assert chosen([Trained("infonce")], path) == {"infonce": Trained("infonce")}
    with pytest.raises(ValueError, match=r"'infonce' with 'form bce' in .*, got none; run the"):
        chosen([Trained("infonce"), Trained("infonce", {"form": "bce"})], path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runs: []\nseed: [0]\n", "unknown key 'seed'; did you mean 'seeds'?"),
        ("runs: [{variant: offclip}]\n", "unknown key 'variant'; did you mean 'variants'?"),
        ("seeds: [0]\n", "expected one of runs, search, chosen_by, got none"),
        ("runs: []\nsearch: {}\n", "expected one of runs, search, chosen_by, got ['runs'"),
        ("- runs\n", "expected key: value lines, got list"),
        ("runs: [{variants: [a], baseline: b}]\n", "expected key: value lines, got str"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(text, message, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {message}")):
        read_comparison(path)
