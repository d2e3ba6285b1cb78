"""Checks of the book as it lies: its table of contents, and the built pages."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

_LOADED = re.compile(
    r"<(?:script|img|iframe|source|audio|video|embed)\b[^>]*?\bsrc\s*=\s*[\"']([^\"']+)", re.I
)
_LINKED = re.compile(r"<link\b[^>]*>", re.I)
_HREF = re.compile(r"\bhref\s*=\s*[\"']([^\"']+)", re.I)
_LOADING_RELS = re.compile(r"\brel\s*=\s*[\"'][^\"']*(stylesheet|preload|icon|prefetch)", re.I)


def toc_files(toc: Path) -> list[str]:
    """Entries of ``_toc.yml`` in reading order, without suffix."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    chapters = [c["file"] for part in content["parts"] for c in part["chapters"]]
    return [content["root"], *chapters]


def toc_notebooks(toc: Path) -> list[str]:
    """Names (without suffix) of the notebooks among the entries."""
    return [e.removeprefix("notebooks/") for e in toc_files(toc) if e.startswith("notebooks/")]


def loaded_addresses(page: str) -> list[str]:
    """Addresses that a browser loads by itself for ``page`` (HTML): scripts, styles, pictures."""
    links = [tag for tag in _LINKED.findall(page) if _LOADING_RELS.search(tag)]
    return _LOADED.findall(page) + [match for tag in links for match in _HREF.findall(tag)]


def page_faults(html: Path) -> list[str]:
    """What is wrong with the built pages under ``html``: outside addresses, missing files."""
    faults = []
    pages = [page for page in html.rglob("*.html") if "_static" not in page.parts]
    for page in sorted(pages):
        for address in loaded_addresses(page.read_text(encoding="utf-8", errors="replace")):
            parts = urlsplit(address)
            where = page.relative_to(html)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                faults.append(f"{where} loads {address} from outside")
            elif not (page.parent / unquote(parts.path)).exists():
                faults.append(f"{where} loads {address}, which is missing")
    return faults
