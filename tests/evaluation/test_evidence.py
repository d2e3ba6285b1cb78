"""Evidence records: exact fields, finite values, clear errors."""

import dataclasses
import json

import pytest
import torch

from offclip.evaluation import Record, config_hash, device_name, read_evidence, write_evidence

RECORD = Record(
    dataset="openi_phantom",
    split="test",
    variant="infonce",
    prompting="raw",
    head="cosine",
    metric="normal_auc",
    detail="there is no finding",
    seed=0,
    value=0.123456789,
    unit="",
    interval=(0.1, 0.2),
    interval_method="bootstrap",
    n=10,
    config="abc",
    commit="def",
    device="CPU",
    minutes=1.2345,
)


def test_round_trip(tmp_path):
    path = write_evidence(tmp_path / "r.json", [RECORD, dataclasses.replace(RECORD, interval=None)])
    table = read_evidence(path, path)
    assert len(table) == 4 and table["value"][0] == 0.123457 and table["interval"][0] == [0.1, 0.2]


def test_the_device_is_that_of_the_work_and_not_of_the_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU at {device}")
    assert device_name().startswith("CPU ")
    assert device_name(torch.device("cpu")).startswith("CPU ")
    assert device_name("cuda:1") == "GPU at cuda:1"


def test_not_a_number_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match=r"infonce, normal_auc"):
        write_evidence(tmp_path / "r.json", [dataclasses.replace(RECORD, value=float("nan"))])
    assert not list(tmp_path.iterdir())


def test_foreign_fields_and_broken_files_are_named(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{**dataclasses.asdict(RECORD), "extra": 1}]))
    with pytest.raises(ValueError, match="extra"):
        read_evidence(path)
    path.write_text("[{")
    with pytest.raises(ValueError, match="not JSON"):
        read_evidence(path)


def test_hash_depends_on_values_not_on_order():
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
