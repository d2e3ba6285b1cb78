"""What files are by themselves: data, tables of single cases, notebooks on restricted records."""

import json

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from safetensors.numpy import save

from offclip.privacy.notebooks import parameters_of, read_folders


def parquet():
    """Bytes of a table."""
    return pd.DataFrame({"a": [1]}).to_parquet()


def test_data_files_are_refused_under_any_name(leaks, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    kind = "data file (neither UTF-8 text nor an image or font of a page)"
    beside = "image in a folder with records.parquet"
    binary = {
        "a/cache.parquet": parquet(),
        "a/renamed.txt": parquet(),
        "b/pictures.npy": (tmp_path / "a.npy").read_bytes(),
        "b/tokens.bin": save({"tokens": np.arange(4)}),
        "c/pack.zip": b"PK\x03\x04" + b"\0" * 9,
        "c/scan": b"\0" * 128 + b"DICM",
        "c/scan.dcm": b"\0" * 128 + b"DICM",
        "d/latin.html": "<p>pequeño</p>".encode("latin-1"),
        "e/records.parquet": parquet(),
    }
    fine = {"_images/0.png": b"\x89PNG\0", "font.woff2": b"\0", "page.html": "<p>clear</p>"}
    images = {"e/0.png": b"\x89PNG\0", "e/images/1.JPG": b"\xff\xd8\0"}
    classifier = {"f/classifier.json": '{"weights": {"a nodule": 1.5}}'}
    assert sorted(leaks({**binary, **fine, **images, **classifier})) == sorted(
        [
            *(f"{name}: file: {kind}" for name in binary),
            *(f"{name}: file: {beside}" for name in images),
            "f/classifier.json: file: sentence classifier, whose features are words of reports",
        ]
    )


def evidence(**changes):
    """A table with one record over many cases, and a changed one."""
    record = {"dataset": "mimic_cxr", "metric": "auc", "detail": "mean", "n": 500, "value": 1.0}
    return [record, {**record, **changes}]


FINE = [
    {},
    {"dataset": "openi_phantom", "n": 1},
    {"dataset": "openi_phantom", "study_id": "17"},
    {"dataset": None, "study_id": "17"},
    {"detail": "there is no pleural effusion"},
]


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_tables_of_single_cases_are_refused_without_any_match(leaks, ending):
    def file(rows):
        return json.dumps(rows) if ending == "json" else pd.DataFrame(rows).to_csv(index=False)

    name, one = f"results.{ending}", "evidence about a single case (n = 1)"
    assert leaks({name: file(evidence(n=1))}) == [f"{name}: row 2: {one}"]
    assert leaks({name: file(evidence(dataset="vindr_cxr_raw", n=1))}) == [f"{name}: row 2: {one}"]
    cases = evidence(dicom_id="x")[1:] * 2
    assert leaks({name: file(cases)}) == [f"{name}: row 1: table of single cases (column dicom_id)"]
    for changes in FINE:
        rows = evidence(**changes)
        assert leaks({name: file(rows[1:])}) == []


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2,3\n", '"' + "x" * 200_000, "{", "[1, null]", '{"n": 1}', "[" * 9]
)
def test_odd_tables_are_text(leaks, content):
    assert leaks({"a.csv": content, "b.json": content, "c.ipynb": content}) == []


def test_outputs_of_a_notebook_on_restricted_records(leaks, copy):
    def notebook(data, outputs):
        cells = [
            new_code_cell('data: str = "../x"  # records', metadata={"tags": ["parameters"]}),
            new_code_cell(f"data = {data!r}", metadata={"tags": ["injected-parameters"]}),
            new_code_cell("print(scores)", outputs=outputs),
        ]
        return json.dumps(new_notebook(cells=cells))

    shown = [new_output("stream", text="0.5")]
    files = {
        "executed.ipynb": notebook(str(copy.private[0]), shown),
        "source.ipynb": notebook(str(copy.private[0]), []),
        "other.ipynb": notebook("../elsewhere", shown),
    }
    assert leaks(files) == ["executed.ipynb: cell 3: output of a notebook on restricted records"]


def test_parameters_of_an_executed_notebook(tmp_path):
    cells = [new_code_cell("data: str = '../d'  # x\nn = 3\nif", metadata={"tags": ["parameters"]})]
    notebook = new_notebook(cells=cells)
    assert parameters_of(notebook) == {}
    cells[0].source = "data: str = '../d'  # x\nn = 3"
    assert parameters_of(notebook) == {"data": "../d", "n": 3}
    notebook.metadata["papermill"] = {"parameters": {"data": "../e"}}
    assert parameters_of(notebook)["data"] == "../e"
    for name in ("d", "e", "notebooks"):
        (tmp_path / name).mkdir()
    source, executed = tmp_path / "notebooks/a.ipynb", tmp_path / "book/notebooks/a.ipynb"
    for path in (source, executed):
        assert read_folders({"data": "../d", "n": 3, "gone": "../g"}, path) == [tmp_path / "d"]
    assert read_folders({"data": str(tmp_path / "e"), "bad": "a\0"}, source) == [tmp_path / "e"]
