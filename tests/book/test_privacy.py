"""A page must not show what its records do not allow."""

import nbformat
import pandas as pd
import pytest

from book.privacy import data_folder, pixel_faults, text_faults

SENTENCE = "A 3 mm nodule projects over the sixth posterior rib on the right."
PROMPT = "there is a 3 mm nodule over the sixth posterior rib"


def records(access):
    return pd.DataFrame(
        {
            "study_id": ["s50414267"],
            "patient_id": ["p10000032"],
            "image": ["p10/p10000032/02aa804e-bde0afdd.jpg"],
            "sentences": [[SENTENCE, "No effusion."]],
            "prompts": [[PROMPT]],
            "access": [access],
        }
    )


@pytest.fixture
def page(tmp_path):
    def write(text):
        (tmp_path / "page.html").write_text(f"<html><script>s50414267</script>{text}</html>")
        return tmp_path

    return write


@pytest.mark.parametrize("access", ["registration", "credentialed"])
@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ("<td>s50414267</td>", "page.html: 1 identifiers"),
        ("P10000032 and 02AA804E-bde0afdd", "page.html: 2 identifiers"),
        (f"<p>He said: {SENTENCE.replace(' ', '  ')}</p>", "page.html: 1 sentences"),
    ],
)
def test_restricted_content_is_a_fault_and_is_not_repeated(page, access, shown, fault):
    (found,) = text_faults(page(shown), records(access))
    assert found.startswith(fault) and SENTENCE not in found


@pytest.mark.parametrize("shown", ["No effusion.", "a 3 mm nodule over the sixth", "study 504"])
def test_common_phrases_are_none(page, shown):
    assert text_faults(page(shown), records("credentialed")) == []


def test_no_derivatives_may_be_quoted_but_not_altered(page):
    assert text_faults(page(SENTENCE + " s50414267"), records("open-no-derivatives")) == []
    (found,) = text_faults(page(PROMPT), records("open-no-derivatives"))
    assert "1 altered text" in found
    assert text_faults(page(PROMPT + SENTENCE), records("open")) == []


def test_pixels_and_folder_of_an_executed_notebook(tmp_path):
    cells = [
        nbformat.v4.new_code_cell('data: str = "../runs/data"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("figure = contact_sheet(images)"),
    ]
    cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/plain": "figure"})]
    path = tmp_path / "book" / "notebooks" / "n.ipynb"
    path.parent.mkdir(parents=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, path)
    assert data_folder(path) == tmp_path / "runs" / "data"
    assert pixel_faults(path) == [
        "n.ipynb, cell 2: draws pixels (contact_sheet) of restricted records"
    ]
    notebook.metadata["papermill"] = {"parameters": {"data": "/mimic"}}
    nbformat.write(notebook, path)
    assert str(data_folder(path)) == "/mimic"
