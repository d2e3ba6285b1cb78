"""A notebook over a grid: every combination once, checked first, resumed, failures named."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book.grid import main, merged, read_grid, run_grid
from book.notebook_sources import CHECKED, clean
from offclip.data.spread import spread
from offclip.files import write_text

PARAMETERS = """\
variant: str = "a"  # a letter
seed: int = 0  # a number
record: str = ""  # file for the evidence"""
WORK = """\
import json, pathlib
assert (variant, seed) != ("b", 1), "b and 1 do not go together"
pathlib.Path(record).write_text(json.dumps([{"variant": variant, "seed": seed}]))"""


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
    assert merged(cells) == [
        {"variant": "a", "seed": 0}, {"variant": "a", "seed": 1}, {"variant": "b", "seed": 0},
    ]  # fmt: skip
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


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 1
    assert "expected a grid file, got nothing there" in capsys.readouterr().err
