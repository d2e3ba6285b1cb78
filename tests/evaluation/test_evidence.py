"""Evidence records: exact columns and values, two files that belong together, clear errors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from offclip.evaluation import (
    Interval,
    Record,
    RunInfo,
    config_hash,
    device_name,
    evidence_table,
    read_evidence,
    write_evidence,
)
from tests.states import state

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


POOLED = replace(
    RECORD, seed=None, setting="batch 16", config="abc, abd", minutes=2.5, interval=None,
    interval_method=None, detail="mean, of all", unit="s",
)  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    written = [RECORD, POOLED, replace(RECORD, interval=None, interval_method=None, value=2e-6)]
    path = write_evidence(tmp_path / "r.csv", written)
    rounded = [replace(each, value=round(each.value, 6), minutes=round(each.minutes, 2))
               for each in written]  # fmt: skip
    table = read_evidence(path)
    assert table.equals(evidence_table(rounded).astype(table.dtypes))
    assert " ".join(table) == (
        "dataset split variant setting prompting head metric detail seed value unit low high "
        "interval_method n config commit device minutes"
    )
    assert table["value"][0] == 0.123457 and table["low"][0] == 0.1 and table["minutes"][0] == 1.23
    assert (tmp_path / "runs.csv").read_text().count("\n") == 3, "two runs for three records"
    again = write_evidence(tmp_path / "again" / "r.csv", table)
    assert again.read_bytes() == path.read_bytes()
    assert read_evidence(tmp_path / "again", path).equals(read_evidence(path, path))


def test_studies_of_a_folder_share_a_file_of_runs(tmp_path):
    names = [f"study_{number}" for number in range(8)]

    def write(name):
        return write_evidence(tmp_path / f"{name}.csv", [replace(RECORD, config=name), POOLED])

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(write, names))
    assert read_evidence(tmp_path)["config"].tolist()[::2] == names
    before = {path.name: path.read_bytes() for path in paths}
    write_evidence(paths[3], [replace(RECORD, config="new", minutes=9.0)])
    assert read_evidence(paths[3])["minutes"].tolist() == [9.0]
    assert read_evidence(tmp_path)["config"].tolist().count("abc, abd") == 7
    assert all(path.read_bytes() == before[path.name] for path in paths if path != paths[3])


def test_a_run_makes_its_records():
    run = RunInfo(dataset="toy", variant="offclip", setting="batch 16", seed=3, minutes=2.0)
    made = run.record("test", "pointing", "mean", Interval(0.5, 0.4, 0.6), 7, method="bootstrap")
    assert (made.value, made.interval, made.interval_method) == (0.5, (0.4, 0.6), "bootstrap")
    assert (made.variant, made.setting, made.seed, made.minutes) == ("offclip", "batch 16", 3, 2.0)
    bare = run.record("test", "n", "all", 4.0, 7, method="bootstrap")
    assert bare.value == 4.0 and bare.interval is None and bare.interval_method is None


def test_the_device_is_that_of_the_work_and_not_of_the_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU at {device}")
    assert device_name().startswith("CPU ")
    assert device_name(torch.device("cpu")).startswith("CPU ")
    assert device_name("cuda:1") == "GPU at cuda:1"


def test_not_a_number_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match=r"infonce, normal_auc"):
        write_evidence(tmp_path / "r.csv", [replace(RECORD, value=float("nan"))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["r.json", "runs.csv", "folder.csv", "mine.csv", "below/r.csv"])
def test_what_is_not_a_study_is_not_replaced(name, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "mine.csv").write_text("run,split\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "runs.csv").write_text("distance\n10 km\n")
    before = state(tmp_path)
    with pytest.raises(ValueError, match="expected"):
        write_evidence(tmp_path / name, [RECORD])
    assert state(tmp_path) == before


def test_records_of_another_dataset_are_not_replaced(tmp_path):
    path = write_evidence(tmp_path / "r.csv", [RECORD])
    before = path.read_bytes(), (tmp_path / "runs.csv").read_bytes()
    with pytest.raises(ValueError, match="records of openi, got one with records of openi_phantom"):
        write_evidence(path, [replace(RECORD, dataset="openi")])
    assert (path.read_bytes(), (tmp_path / "runs.csv").read_bytes()) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("r.csv", "metric,detail", "metric,extra", "row 1: expected the columns run,split"),
        ("r.csv", "0.123457", "high", "row 2: value: expected a number, got 'high'"),
        ("r.csv", "0.123457", "nan", "row 2: value: expected a number, got 'nan'"),
        ("r.csv", "0.123457", "", "row 2: value: expected a number, got ''"),
        ("r.csv", ",10\n", ",10,11\n", "row 2: expected 9 values, got 10"),
        ("r.csv", ",10\n", "\n", "row 2: expected 9 values, got 8"),
        ("r.csv", "0,test", "7,test", "row 2: expected a run that .*runs.csv lists for 'r'"),
        ("runs.csv", "r,0,", "s,0,", "row 2: expected a run that"),
        ("runs.csv", "1.23", "long", "runs.csv, row 2: minutes: expected a number, got 'long'"),
        ("runs.csv", "study,run,", "study,", "runs.csv, row 1: expected the columns"),
        ("r.csv", None, b"", "r.csv, row 1: expected the columns run,.*, got none"),
        ("r.csv", None, b"\xff\xfe\x00", "r.csv: not a CSV file of records"),
    ],
)
def test_damaged_files_are_named_with_the_row(file, old, new, message, tmp_path):
    write_evidence(tmp_path / "r.csv", [RECORD])
    path = tmp_path / file
    damaged = path.read_text().replace(old, new, 1).encode() if old else new
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=message) as caught:
        read_evidence(tmp_path / "r.csv")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    write_evidence(tmp_path / "r.csv", [RECORD])
    with pytest.raises(FileNotFoundError, match="other.csv: expected a file of records"):
        read_evidence(tmp_path / "other.csv")
    (tmp_path / "runs.csv").unlink()
    with pytest.raises(FileNotFoundError, match="runs.csv belongs to the CSV files next to it"):
        read_evidence(tmp_path)


def test_hash_depends_on_values_not_on_order():
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
