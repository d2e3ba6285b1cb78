"""Every evidence record has values that make sense, and stands once."""

import math
from pathlib import Path

import pandas as pd
import pytest

from offclip.evaluation import read_evidence
from offclip.evaluation.evidence import RUNS

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
TEXTS = ("dataset", "split", "variant", "metric", "detail", "unit", "config", "commit", "device")
AREAS = {"normal_auc", "normal_auc_free", "abnormal_auc_pos", "abnormal_auc_pnc", "pointing",
         "pointing_chance"}  # fmt: skip
FILES = sorted(file for file in RESULTS.glob("*.csv") if file.name != RUNS)


def faults(record):
    """What is wrong with one record, in words."""
    found = [f"{name} is not text" for name in TEXTS if not isinstance(record[name], str)]
    for name, known in (
        ("prompting", ("raw", "prompted")),
        ("head", ("cosine", "cross_attention")),
    ):
        if pd.notna(record[name]) and record[name] not in known:
            found.append(f"{name} {record[name]!r}")
    if "," in record["variant"] and pd.notna(record["prompting"]):
        found.append(f"a setting in the variant {record['variant']!r}")
    if pd.notna(record["seed"]) and record["seed"] not in range(10_000):
        found.append(f"seed {record['seed']!r}")
    if not math.isfinite(record["value"]):
        return [*found, f"value {record['value']!r}"]
    if record["metric"] in AREAS and not 0 <= record["value"] <= 1:
        found.append(f"{record['metric']} of {record['value']}")
    if record["n"] < 1:
        found.append(f"n {record['n']!r}")
    if not 0 <= record["minutes"] < math.inf:
        found.append(f"minutes {record['minutes']!r}")
    return found + _interval_faults(record)


def _interval_faults(record):
    bounds = record["low"], record["high"]
    if all(map(math.isnan, bounds)):
        return []
    found = [] if isinstance(record["interval_method"], str) else ["an interval without its method"]
    if not bounds[0] <= record["value"] <= bounds[1]:
        found.append(f"value {record['value']} outside its interval {bounds}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_records_are_whole(file):
    records = read_evidence(file).to_dict("records")
    assert records, f"{file.name}: expected records"
    wrong = [f"{file.name}, row {i}: {f}" for i, r in enumerate(records, 2) for f in faults(r)]
    assert not wrong, "\n".join(wrong[:20])


def test_no_record_stands_twice():
    keys = "dataset split variant setting prompting head metric detail seed config".split()
    for file in FILES:
        assert not read_evidence(file).duplicated(keys).any(), file.name


def test_every_run_belongs_to_a_study():
    runs = pd.read_csv(RESULTS / RUNS, dtype=str)
    assert set(runs["study"]) == {file.stem for file in FILES}
    for file in FILES:
        used = pd.read_csv(file, dtype=str)["run"]
        assert set(used) == set(runs["run"][runs["study"] == file.stem]), file.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_ledger_names_the_command_of_every_record(file):
    rows = (RESULTS.parent / "ledger.md").read_text(encoding="utf-8").splitlines()
    assert any(f"`{file.stem}`" in row.split(" | ")[0] for row in rows if row.startswith("|"))


def test_the_check_itself_sees_faults():
    good = dict.fromkeys(TEXTS, "x") | {
        "prompting": "raw", "head": None, "seed": 0.0, "value": 0.5, "low": 0.4, "high": 0.6,
        "interval_method": "bootstrap", "n": 10, "minutes": 1.5, "metric": "pointing",
    }  # fmt: skip
    assert faults(good) == []
    assert faults(good | {"value": float("nan")})
    assert faults(good | {"value": 1.5, "low": math.nan, "high": math.nan})
    assert faults(good | {"low": 0.6, "high": 0.7})
    assert faults(good | {"low": math.nan})
    assert faults(good | {"interval_method": None})
    assert faults(good | {"seed": 0.5})
    assert faults(good | {"variant": "offclip, batch 16"})
