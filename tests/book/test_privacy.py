"""Restricted records stay private: in the sources, and in the notebooks that read them."""

import shutil
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book.execute import execute_all
from book.privacy import PRIVATE, ROOT, privacy_faults, reads_restricted, record_folders
from offclip.data.records import write_records
from offclip.files import write_text
from offclip.privacy import find_leaks, local_copy
from tests.privacy.made import PATIENTS, SENTENCES, private_copy, records


def sources():
    """Every file of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is published cannot be listed")
    return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def test_sources_show_nothing_and_each_planted_kind_is_found(tmp_path):
    copy, planted = tmp_path / "copy", tmp_path / "planted"
    copy.mkdir()
    files = {
        "text.md": SENTENCES[2],
        "id.html": PATIENTS[2],
        "scores.csv": "dataset,study_id,nodule\nvindr_cxr,x,0.5",
        "n1.json": '[{"dataset": "mimic_cxr", "metric": "m", "n": 1, "detail": "mean"}]',
        "cache.npy": "\0",
    }
    for name, content in files.items():
        write_text(planted / name, content)
    count, findings = find_leaks([*sources(), planted], local_copy([private_copy(copy)]))
    assert count > 300 and len(findings) == len(files), findings
    assert {finding.file for finding in findings} == {str(planted / name) for name in files}
    secrets = [*SENTENCES, *PATIENTS]
    assert not any(secret in str(finding) for finding in findings for secret in secrets)


def test_sources_show_nothing_of_the_copies_at_hand():
    if not record_folders([ROOT / "book" / "notebooks"]):
        pytest.skip("no records in runs, and OFFCLIP_RECORDS names none")
    assert privacy_faults(sources(), [ROOT / "book" / "notebooks"]) == []


def toy(root, data, last="print(data)"):
    """A notebook that reads records."""
    cells = [
        new_markdown_cell("# A title"),
        new_code_cell(f'data: str = "{data}"  # records', metadata={"tags": ["parameters"]}),
        new_code_cell(last),
    ]
    path = root / "notebooks" / "a.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)
    return path


def test_notebooks_of_restricted_records_stay_out_of_the_book(tmp_path, capsys):
    write_records(records(), tmp_path / "mimic" / "records.parquet")
    out, private = tmp_path / "book" / "notebooks", tmp_path / PRIVATE
    notebook = toy(tmp_path, "../mimic")

    def run():
        return execute_all([notebook], {}, out=out, root=tmp_path)

    assert run() == ["a"] and run() == []
    assert capsys.readouterr().out.count(f"read restricted records; kept in {private}") == 2
    assert sorted(path.name for path in private.iterdir()) == ["a.ipynb", "a.stamp.json"]
    assert nbformat.read(private / "a.ipynb", as_version=4).cells[-1].outputs
    assert [path.name for path in out.iterdir()] == ["a.ipynb"]
    shown = nbformat.read(out / "a.ipynb", as_version=4)
    assert "stay on the machine that ran it" in shown.cells[1].source
    assert not any(cell.get("outputs") for cell in shown.cells)
    assert privacy_faults([out], [out], root=tmp_path) == []
    write_text(out / "leak.md", SENTENCES[0])
    fault = f"{out}/leak.md: line 1: passage of a restricted report"
    assert privacy_faults([out], [out], root=tmp_path) == [fault]
    (out / "leak.md").unlink()
    shutil.copy(private / "a.ipynb", out)
    (fault,) = privacy_faults([out], [out], root=tmp_path)
    assert fault == f"{out}/a.ipynb: cell 3: output of a notebook on restricted records"


def test_a_notebook_that_makes_its_records_is_moved_afterwards(tmp_path):
    write_records(records(), tmp_path / "elsewhere.parquet")
    (tmp_path / "made").mkdir()
    make = (
        "import shutil\nfrom pathlib import Path\n"
        "assert not [*Path('../book').rglob('*')], 'nothing is in the book while it runs'\n"
        "shutil.copy('../elsewhere.parquet', data + '/records.parquet')"
    )
    notebook, out = toy(tmp_path, "../made", make), tmp_path / "book" / "notebooks"
    execute_all([notebook], {}, out=out, root=tmp_path)
    assert (tmp_path / PRIVATE / "a.ipynb").exists()
    assert [path.name for path in out.iterdir()] == ["a.ipynb"]
    assert not any(c.get("outputs") for c in nbformat.read(out / "a.ipynb", as_version=4).cells)


def test_what_counts_as_restricted(tmp_path, monkeypatch):
    monkeypatch.delenv("OFFCLIP_RECORDS", raising=False)
    notebook = toy(tmp_path, "../data")
    assert not reads_restricted(notebook, {}) and record_folders([], tmp_path) == []
    write_records(records("open", "nih_chestxray14"), tmp_path / "data" / "records.parquet")
    assert not reads_restricted(notebook, {})
    write_records(records("registration", "chexpert"), tmp_path / "c" / "records.parquet")
    assert reads_restricted(notebook, {"data": str(tmp_path / "c")})
    (tmp_path / "archive").mkdir()
    archive = {"dataset": "vindr_cxr", "root": str(tmp_path / "archive")}
    assert reads_restricted(notebook, archive)
    assert not reads_restricted(notebook, {**archive, "root": ""})
    assert not reads_restricted(notebook, {**archive, "dataset": "openi"})
    for folder in ("archive", "c"):
        write_text(tmp_path / folder / "REHEARSAL.txt", "invented")
    assert not reads_restricted(notebook, {**archive, "data": str(tmp_path / "c")})
    shutil.copytree(tmp_path / "c", tmp_path / "runs" / "c")
    write_text(tmp_path / "page.md", SENTENCES[0])
    assert privacy_faults([tmp_path / "page.md"], root=tmp_path) == []
    write_text(tmp_path / "cache.npy", "\0")  # needs no copy to compare with
    assert len(privacy_faults([tmp_path / "cache.npy"], root=tmp_path / "new")) == 1
    (tmp_path / "c" / "REHEARSAL.txt").unlink()
    monkeypatch.setenv("OFFCLIP_RECORDS", str(tmp_path / "c"))
    assert len(privacy_faults([tmp_path / "page.md"], root=tmp_path)) == 1
    monkeypatch.setenv("OFFCLIP_RECORDS", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="expected records.parquet in .*gone"):
        privacy_faults([tmp_path / "page.md"], root=tmp_path)
