"""Parameters are checked first; finished notebooks are kept; faults are named."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book.execute import NOTEBOOKS, WRITTEN, NotebookFailed, execute_all
from book.notebook_sources import CHECKED, clean, faults, refresh
from book.parameters import load_parameters
from offclip.files import write_text
from offclip.folders import Mark, replaced
from offclip.privacy.notebooks import parameters_of

PARAMETERS = "epochs: int = 2  # passes\nseeds: list[int] = [0]  # model seeds"
CHECK = "from offclip.parameters import check_parameters\ncheck_parameters(globals())"


def toy(path, last="print(epochs, seeds)", parameters=PARAMETERS, tags=(CHECKED,)):
    cells = [
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell(CHECK),
        new_code_cell(last, metadata={"tags": list(tags)}),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, nbformat.writes(clean(new_notebook(cells=cells))) + "\n")
    return path


def write_params(tmp_path, text):
    path = tmp_path / "laptop.yaml"
    path.write_text(text)
    return path


def test_parameters_are_converted(tmp_path):
    notebook = toy(tmp_path / "a.ipynb")
    path = write_params(tmp_path, "a:\n  epochs: 3\n  seeds: [1, 2]\n")
    assert load_parameters(path, [notebook]) == {"a": {"epochs": 3, "seeds": [1, 2]}}


def test_every_fault_is_named_before_anything_runs(tmp_path):
    notebook = toy(tmp_path / "a.ipynb")
    path = write_params(tmp_path, "a:\n  epoch: 3\n  seeds: [x]\nab: {}\n")
    with pytest.raises(ValueError) as caught:
        load_parameters(path, [notebook])
    lines = str(caught.value).splitlines()
    assert "unknown parameter 'epoch'; did you mean 'epochs'?" in lines[0]
    assert "'seeds': expected list[int], got list ['x']" in lines[1]
    assert "no notebook 'ab'; did you mean" in lines[2] or "known: a" in lines[2]


def test_a_missing_parameter_file_names_those_that_exist(tmp_path):
    write_params(tmp_path, "")
    with pytest.raises(FileNotFoundError, match="there are: laptop"):
        load_parameters(tmp_path / "full.yaml", [])


def test_finished_notebooks_are_kept_until_something_changes(tmp_path, capsys):
    notebook, out = toy(tmp_path / "notebooks" / "a.ipynb"), tmp_path / "out"

    def run(**values):
        return execute_all([notebook], {"a": values}, out=out, root=tmp_path)

    assert run(epochs=3) == ["a"]
    text = nbformat.read(out / "a.ipynb", as_version=4).cells[-1].outputs[0].text
    assert text == "3 [0]\n"
    assert run(epochs=3) == []
    assert run(epochs=4) == ["a"]
    (tmp_path / "offclip").mkdir()
    (tmp_path / "offclip" / "new.py").write_text("x = 1\n")
    assert run(epochs=4) == ["a"]
    assert "[1/1] a: unchanged, kept" in capsys.readouterr().out
    stamp = json.loads((out / "a.stamp.json").read_text())
    assert set(stamp) == {"fingerprint", "seconds"}


READS = """\
from pathlib import Path
if not (Path(data) / "records").exists():
    from offclip.folders import Mark, replaced
    with replaced(data, Mark("results")) as work:
        (work / "records").write_text("1")
Path(runs).mkdir(exist_ok=True)
(Path(runs) / "trained").write_text("x")
print((Path(data) / "records").read_text())"""


def test_a_notebook_runs_again_when_what_its_parameters_name_has_changed(tmp_path):
    notebook, out = tmp_path / "notebooks" / "a.ipynb", tmp_path / "out"
    toy(notebook, READS, 'data: str = "../data"  # read\nruns: str = "../runs"  # written')
    (tmp_path / "book").mkdir()

    def run():
        return execute_all([notebook], {}, out=out, root=tmp_path)

    assert run() == ["a"], "it makes its data itself"
    assert run() == []
    (tmp_path / "runs" / "another").write_text("what is written does not count")
    (tmp_path / "data" / "notes.md").write_text("nor does what is not ours")
    assert run() == []
    with replaced(tmp_path / "data", Mark("results")) as work:
        (work / "records").write_text("2")
    assert run() == ["a"] and run() == []
    assert nbformat.read(out / "a.ipynb", as_version=4).cells[-1].outputs[0].text == "2\n"
    (tmp_path / "data" / "offclip.json").unlink()  # a folder of somebody: all of it counts
    assert run() == ["a"] and run() == []
    (tmp_path / "data" / "notes.md").write_text("changed")
    assert run() == ["a"]


def test_every_parameter_of_a_chapter_that_names_a_path_is_read_or_written():
    known = {"data", "records", "results", "reports", "images", "root", "model", "tokenizer"}
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        for name, value in parameters_of(nbformat.read(notebook, as_version=4)).items():
            if isinstance(value, str) and ("/" in value or not value):
                assert name in known or name in WRITTEN, f"{notebook.name}: {name}"


def test_a_failure_names_notebook_cell_and_error_and_keeps_the_others(tmp_path):
    bad = toy(tmp_path / "notebooks" / "bad.ipynb", last="1 / 0")
    good = toy(tmp_path / "notebooks" / "good.ipynb")
    out = tmp_path / "out"
    with pytest.raises(NotebookFailed, match=r"(?s)bad.ipynb, cell \d.*1 / 0.*ZeroDivisionError"):
        execute_all([bad, good], {}, out=out, root=tmp_path)
    assert sorted(p.name for p in out.iterdir()) == ["good.ipynb", "good.stamp.json"]


def test_a_notebook_that_runs_too_long_is_stopped(tmp_path):
    slow = toy(tmp_path / "notebooks" / "slow.ipynb", last="import time\ntime.sleep(60)")
    with pytest.raises(NotebookFailed, match="slow.ipynb, cell .*limit 3 s"):
        execute_all([slow], {}, out=tmp_path / "out", root=tmp_path, limit=3.0)


def test_refresh_stores_checked_outputs_only(tmp_path):
    path = toy(tmp_path / "a.ipynb")
    assert faults(path) == ["a.ipynb: cell 3: no stored output: run `make refresh-notebooks`"]
    refresh(path)
    assert faults(path) == []
    cells = nbformat.read(path, as_version=4).cells
    assert [c.execution_count for c in cells] == [None, None, 1]
    assert cells[2].outputs[0].text == "2 [0]\n"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tags": ()}, "no cell is tagged nbval-check-output"),
        ({"last": "\n".join(["x = 1"] * 16)}, "cell 3 has 16 lines of code; at most 15"),
        ({"parameters": "epochs: int = 2"}, "parameter 'epochs' has no comment"),
        ({"parameters": "n: int | None = None  # cases"}, "papermill cannot read parameter 'n'"),
        ({"parameters": "epochs = 2  # passes"}, "not of the form `name: type = value"),
    ],
)
def test_house_rules(tmp_path, changes, fault):
    assert any(fault in found for found in faults(toy(tmp_path / "a.ipynb", **changes)))


def test_a_notebook_out_of_form_is_seen(tmp_path):
    path = toy(tmp_path / "a.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] = {}
    nbformat.write(notebook, path)
    assert "a.ipynb: not in the house form: run `make format`" in faults(path)
