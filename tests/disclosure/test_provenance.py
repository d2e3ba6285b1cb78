"""What files tell by themselves: data files, evidence about one case, notebooks that draw."""

import json

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from safetensors.numpy import save

from offclip.disclosure.provenance import parameters_of, read_folders


def parquet():
    """Bytes of a table."""
    return pd.DataFrame({"a": [1]}).to_parquet()


def test_data_files_are_refused_under_any_name(found, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    array = (tmp_path / "a.npy").read_bytes()
    files = {
        "a/cache.parquet": parquet(),
        "a/renamed.txt": parquet(),
        "b/pictures.npy": array,
        "b/tokens.bin": save({"tokens": np.arange(4)}),
        "c/scan.jpg": b"\0" * 128 + b"DICM" + b"\0" * 9,
        "c/pack.zip": b"PK\x03\x04" + b"\0" * 9,
        "d/empty.safetensors": b"",
        "page.html": "<p>nothing</p>",
    }
    kind = "1 files with data that cannot be read"
    assert found(files) == [
        f"site/a/cache.parquet: {kind} (a Parquet table)",
        f"site/a/renamed.txt: {kind} (a Parquet table)",
        f"site/b/pictures.npy: {kind} (a NumPy array)",
        f"site/b/tokens.bin: {kind} (weights or tokens)",
        f"site/c/pack.zip: {kind} (an archive)",
        f"site/c/scan.jpg: {kind} (a DICOM file)",
        f"site/d/empty.safetensors: {kind} (weights or tokens)",
    ]


def evidence(**changes):
    """An evidence file with one record."""
    record = {
        "dataset": "mimic_cxr",
        "metric": "normal_auc",
        "detail": "mean",
        "n": 500,
        "value": 1.0,
    }
    return json.dumps([{**record, **changes}])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"n": 1}, "evidence records about one case (n = 1)"),
        ({"n": 1, "dataset": "vindr_cxr"}, "evidence records about one case (n = 1)"),
        ({"detail": "image 4a7b99e0c1d24a7b99e0c1d2"}, "records whose detail is an identifier"),
        ({"detail": "s51234567"}, "records whose detail is an identifier"),
        ({"detail": "1.2.840.113619.2.5.17"}, "records whose detail is an identifier"),
        ({"detail": "The heart is a little larger."}, "records whose detail is a sentence"),
    ],
)
def test_evidence_about_one_case_is_refused_without_any_match(found, changes, kind):
    (fault,) = found({"results.json": evidence(**changes)})
    assert fault.startswith("site/results.json: 1 evidence") and fault.endswith(kind)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dataset": "openi_phantom", "n": 1},
        {"detail": "offclip minus infonce@raw: there is no acute cardiopulmonary abnormality"},
        {"detail": "there is no pleural effusion"},
        {"detail": "any box, 20 px of 224: all cases"},
    ],
)
def test_evidence_over_many_cases_is_fine(found, changes):
    assert found({"results.json": evidence(**changes)}) == []


def test_cells_that_draw_restricted_pixels(found, copy):
    def notebook(data, outputs):
        cells = [
            new_code_cell('data: str = "../x"  # records', metadata={"tags": ["parameters"]}),
            new_code_cell(f"data = {data!r}", metadata={"tags": ["injected-parameters"]}),
            new_code_cell("figure = contact_sheet(images)", outputs=outputs),
        ]
        return json.dumps(new_notebook(cells=cells))

    drawn = [new_output("display_data", {"text/plain": "figure"})]
    files = {
        "drawn.ipynb": notebook(str(copy.private[0]), drawn),
        "stripped.ipynb": notebook(str(copy.private[0]), []),
        "other.ipynb": notebook("../elsewhere", drawn),
    }
    fault = "site/drawn.ipynb: 1 cells that draw pixels of restricted records"
    assert found(files) == [fault]


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
    assert read_folders({"data": str(tmp_path / "e")}, source) == [tmp_path / "e"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_sentence_classifier_holds_words_of_reports(found, copy, indent):
    plain = json.loads((copy.private[0] / "classifier.json").read_text())
    other = {"format": "f", "bias": 0, "weights": {"clear": 0.5}}
    kind = "sentence classifiers with words of restricted reports"
    files = {"c.json": json.dumps(plain, indent=indent), "other.json": json.dumps(other)}
    assert found(files) == [f"site/c.json: 1 {kind}", f"site/other.json: 1 {kind}"]
