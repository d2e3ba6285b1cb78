"""The table of contents, the references and the built pages."""

import re
from pathlib import Path

import pytest

from book.checks import loaded_addresses, page_faults, toc_files, toc_notebooks

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
HTML = BOOK / "_build" / "html"


def test_toc_entries_exist():
    entries = toc_files(BOOK / "_toc.yml")
    pages = [BOOK / f"{entry}.md" for entry in entries if not entry.startswith("notebooks/")]
    notebooks = [ROOT / "notebooks" / f"{name}.ipynb" for name in toc_notebooks(BOOK / "_toc.yml")]
    missing = [str(path.relative_to(ROOT)) for path in [*pages, *notebooks] if not path.exists()]
    assert not missing, missing


def test_every_notebook_is_in_the_toc():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert names <= set(toc_notebooks(BOOK / "_toc.yml"))


def test_references_have_one_key_each_and_pages_cite_known_keys():
    keys = re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text("utf-8"), flags=re.M)
    assert len(keys) == len(set(keys))
    for path in [*BOOK.glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]:
        for group in re.findall(r"\{cite:\w+\}`([^`]+)`", path.read_text(encoding="utf-8")):
            unknown = {key.strip() for key in group.split(",")} - set(keys)
            assert not unknown, f"{path.name} cites {sorted(unknown)}"


def test_built_pages_load_nothing_from_outside():
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built; `make book` runs the same check itself")
    assert page_faults(HTML) == []


def test_the_check_sees_outside_and_missing_files(tmp_path):
    (tmp_path / "here.js").write_text("")
    (tmp_path / "page.html").write_text(
        '<script src="here.js?v=1"></script><script async src="https://cdn.example/x.js"></script>'
        '<link rel="stylesheet" href="//cdn.example/x.css"><link rel="next" href="https://a.b/">'
        '<a href="https://a.b/">text</a><img src="gone.png"><img src="data:image/png;base64,AA">'
    )
    assert page_faults(tmp_path) == [
        "page.html loads https://cdn.example/x.js from outside",
        "page.html loads gone.png, which is missing",
        "page.html loads //cdn.example/x.css from outside",
    ]


def test_links_that_load_nothing_are_left_alone():
    assert loaded_addresses('<link rel="canonical" href="https://a.b/"><a href="x">y</a>') == []
