"""Every evidence record has exactly the agreed fields, with values that make sense."""

import json
import math
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
FIELDS = set(
    "dataset split variant prompting head metric detail seed value unit interval interval_method "
    "n config commit device minutes".split()
)
TEXTS = ("dataset", "split", "variant", "metric", "unit", "config", "commit", "device")
AREAS = {"normal_auc", "normal_auc_free", "abnormal_auc_pos", "abnormal_auc_pnc", "pointing",
         "pointing_chance"}  # fmt: skip
FILES = sorted(RESULTS.glob("*.json"))


def faults(record):
    """What is wrong with one record, in words."""
    if set(record) != FIELDS:
        return [f"fields differ: {sorted(set(record) ^ FIELDS)}"]
    found = [f"{name} is not text" for name in TEXTS if not isinstance(record[name], str)]
    if record["prompting"] not in ("raw", "prompted", None):
        found.append(f"prompting {record['prompting']!r}")
    if record["head"] not in ("cosine", "cross_attention", None):
        found.append(f"head {record['head']!r}")
    if record["seed"] is not None and type(record["seed"]) is not int:
        found.append(f"seed {record['seed']!r}")
    if not _is_number(record["value"]):
        return [*found, f"value {record['value']!r}"]
    if record["metric"] in AREAS and not 0 <= record["value"] <= 1:
        found.append(f"{record['metric']} of {record['value']}")
    if type(record["n"]) is not int or record["n"] < 1:
        found.append(f"n {record['n']!r}")
    if not _is_number(record["minutes"]) or record["minutes"] < 0:
        found.append(f"minutes {record['minutes']!r}")
    return found + _interval_faults(record)


def _interval_faults(record):
    interval, method = record["interval"], record["interval_method"]
    if interval is None:
        return []
    if len(interval) != 2 or not all(map(_is_number, interval)):
        return [f"interval {interval!r}"]
    found = [] if isinstance(method, str) and method else ["an interval without its method"]
    if not interval[0] <= record["value"] <= interval[1]:
        found.append(f"value {record['value']} outside its interval {interval}")
    return found


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_records_are_whole(file):
    records = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(records, list) and records, f"{file.name}: expected a list of records"
    wrong = [f"{file.name}[{i}]: {fault}" for i, r in enumerate(records) for fault in faults(r)]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_record_stands_twice(file):
    keys = ("dataset split variant prompting head metric detail seed config").split()
    records = json.loads(file.read_text(encoding="utf-8"))
    seen = [tuple(record[key] for key in keys) for record in records]
    assert len(seen) == len(set(seen))


def test_the_check_itself_sees_faults():
    good = dict.fromkeys(FIELDS, "x") | {
        "prompting": "raw", "head": None, "seed": 0, "value": 0.5, "interval": [0.4, 0.6],
        "interval_method": "bootstrap", "n": 10, "minutes": 1.5, "metric": "pointing",
    }  # fmt: skip
    assert faults(good) == []
    assert faults(good | {"extra": 1})
    assert faults(good | {"value": float("nan")})
    assert faults(good | {"value": 1.5, "interval": None})
    assert faults(good | {"interval": [0.6, 0.7]})
    assert faults(good | {"interval_method": None})
    assert faults(good | {"seed": True})
