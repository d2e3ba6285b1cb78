"""A notebook over a grid: every combination once, checked first, resumed, failures named."""

import json
from functools import partial

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book import grid as module
from book.grid import main, merged, read_grid, run_grid
from book.notebook_sources import CHECKED, clean
from offclip.data.spread import spread
from offclip.evaluation import RunInfo, read_evidence, write_evidence
from offclip.files import write_text

PARAMETERS = """\
variant: str = "a"  # a letter
seed: int = 0  # a number
record: str = ""  # file for the evidence"""
WORK = """\
import pathlib
from offclip.evaluation import RunInfo, write_evidence
assert (variant, seed) != ("b", 1), "b and 1 do not go together"
run = RunInfo(dataset="toy", variant=variant, seed=seed)
write_evidence(record, [run.record("test", "m", "mean", 0.5, 9)])"""


@pytest.fixture
def notebooks(tmp_path):
    cells = [
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(WORK, metadata={"tags": [CHECKED]}),
    ]
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_text(folder / "toy.ipynb", nbformat.writes(clean(new_notebook(cells=cells))) + "\n")
    return folder


def of(table):
    """Variant and seed of each record."""
    return list(zip(table["variant"], table["seed"], strict=True))


def grid_file(folder, text):
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def test_every_combination_runs_once_in_processes(notebooks, tmp_path, capsys):
    path = grid_file(tmp_path, "notebook: toy\ngrid: {variant: [a, b], seed: [0, 1]}\n")
    cells = read_grid(path, tmp_path / "out", notebooks)
    assert [cell.values for cell in cells] == [
        {"variant": v, "seed": s} for v in "ab" for s in (0, 1)
    ]
    with spread(2) as each:
        failures = run_grid(cells, limit=100.0, spread=each)
    *good, bad = failures.values()
    assert good == ["", "", ""] and "b and 1 do not go together" in bad
    assert of(merged(cells, failures)) == [("a", 0), ("a", 1), ("b", 0)]
    assert json.loads((cells[2].folder / "parameters.json").read_text()) == cells[2].values
    assert (cells[0].folder / "toy.ipynb").is_file()
    stamps = [(cell.folder / "toy.stamp.json").stat().st_mtime_ns for cell in cells[:3]]
    run_grid(cells[:3], limit=100.0)
    assert [(c.folder / "toy.stamp.json").stat().st_mtime_ns for c in cells[:3]] == stamps
    assert capsys.readouterr().out.count("unchanged, kept") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("notebook: toy\ngrid: {varant: [a]}", "unknown parameter 'varant'.*mean 'variant'"),
        ("notebook: toy\ngrid: {seed: [x]}", "parameter 'seed': expected int"),
        ("notebook: toy\ngrid: {seed: 3}", "grid: expected a list of values for each name"),
        (
            "notebook: toy\ngrid: {variant: [a], seed: [1, 2, 1]}",
            "grid: seed: expected each value once, got .1, 2, 1",
        ),
        ("notebook: toy\ngrid: {variant: [a, a]}", "grid: variant: expected each value once"),
        ("notebook: toy\ngrid: {seed: []}", "grid: expected a list of values for each name"),
        ("notebook: tow\ngrid: {seed: [0]}", "notebook: expected one of toy; got 'tow'"),
        ("notebook: toy\nfixed: {seed: 1}\ngrid: {seed: [0]}", "fixed: .*none of them in grid"),
        ("grid: {seed: [0]}", "expected the keys notebook, grid"),
        ("notebook: toy\ngrids: {}\ngrid: {}", "expected the keys notebook, grid"),
        ("notebook: [", "not valid YAML"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(text, message, notebooks, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_grid(grid_file(tmp_path, text), tmp_path / "out", notebooks)


def one(notebooks, tmp_path):
    path = grid_file(tmp_path, "notebook: toy\ngrid: {variant: [a]}\n")
    return read_grid(path, tmp_path / "out", notebooks)


def rewrite(notebooks, work, parameters=PARAMETERS):
    cells = [
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell(work, metadata={"tags": [CHECKED]}),
    ]
    path = notebooks / "toy.ipynb"
    write_text(path, nbformat.writes(clean(new_notebook(cells=cells))) + "\n")


@pytest.mark.parametrize(
    "work", ["1 / 0", "import pathlib; pathlib.Path(record).write_text('9'); 1 / 0", "record"]
)
def test_evidence_of_an_earlier_run_is_not_counted(work, notebooks, tmp_path):
    cells = one(notebooks, tmp_path)
    assert of(merged(cells, run_grid(cells, limit=100.0))) == [("a", 0)]
    rewrite(notebooks, work)
    failures = run_grid(cells, limit=100.0)
    assert of(merged(cells, failures)) == [] and any(failures.values()) == (work != "record")


def test_the_last_line_counts_evidence_of_finished_runs(notebooks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "read_grid", partial(read_grid, notebooks=notebooks))
    path = grid_file(tmp_path, "notebook: toy\ngrid: {variant: [a, b], seed: [1]}\n")
    (_, cell) = read_grid(path, tmp_path / "out", notebooks)
    before = RunInfo(dataset="toy", variant="b", seed=1)  # when b and 1 did not clash
    write_evidence(cell.evidence, [before.record("test", "m", "mean", 0.1, 9)])
    record = tmp_path / "all.csv"
    options = ["--out", str(tmp_path / "out"), "--jobs", "1", "--record", str(record)]
    assert main([str(path), *options]) == 1
    assert "2 runs: 1 done, 1 failed; 1 with evidence" in capsys.readouterr().out
    assert of(read_evidence(record)) == [("a", 1)]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError()])
def test_an_error_outside_the_notebook_is_a_failure_of_its_run(
    error, notebooks, tmp_path, monkeypatch
):
    path = grid_file(tmp_path, "notebook: toy\ngrid: {seed: [0, 1]}\n")
    cells, execute = read_grid(path, tmp_path / "out", notebooks), module.execute_all

    def full(notebooks, parameters, **options):
        if parameters["toy"]["seed"] == 0:
            raise error
        return execute(notebooks, parameters, **options)

    monkeypatch.setattr(module, "execute_all", full)
    bad, good = run_grid(cells, limit=100.0).values()
    assert type(error).__name__ in bad and cells[0].folder.name in bad and good == ""


def test_a_run_is_kept_until_the_curated_data_changes(notebooks, tmp_path):
    data = tmp_path / "data"
    write_text(data / "counts.json", "some")
    table = pd.DataFrame({"dataset": ["openi"], "access": ["open"]})
    table.to_parquet(data / "records.parquet")
    work = WORK.replace('"mean"', 'pathlib.Path(data, "counts.json").read_text()')
    rewrite(notebooks, work, PARAMETERS + '\ndata: str = "../data"  # folder of the records')
    cells = one(notebooks, tmp_path)
    stamp = cells[0].folder / "toy.stamp.json"

    def ran():
        before = stamp.stat().st_mtime_ns if stamp.exists() else 0
        assert not any(run_grid(cells, limit=100.0).values())
        return stamp.stat().st_mtime_ns != before

    assert ran() and not ran()
    write_text(data / "counts.json", "others")
    assert ran() and not ran()
    assert list(merged(cells, {cells[0].folder.name: ""})["detail"]) == ["others"]
    table.to_parquet(data / "records.parquet")
    assert ran() and not ran()


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 1
    assert "expected a grid file, got nothing there" in capsys.readouterr().err
