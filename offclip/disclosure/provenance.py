"""What files say of where they come from: notebooks' parameters, evidence, classifiers.

This needs no match with any text: it also refuses what the local copy does not know.
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from offclip.data.manifests import load_manifest, manifest_folder
from offclip.disclosure.local import CLASSIFIER, LocalCopy
from offclip.text.destination import RESTRICTED_ACCESS

DRAWS_PIXELS = ("contact_sheet", "attention_overlay", "imshow")
_PARAMETER_TAGS = ("parameters", "injected-parameters")
_LOOKS_LIKE_AN_ID = re.compile(
    r"(?<![\w.])(?:[a-z]{0,8}\d{6,}|(?=[a-f-]*\d)[0-9a-f-]{16,}|\d+(?:\.\d+){5,}|patient\d+)(?!\w)",
    re.I,
)
_SENTENCE = re.compile(r"[A-Z][^.:]*(?:\s[^.:\s]+){3,}\.\s*")


@cache
def restricted_datasets() -> tuple[str, ...]:
    """Names of the manifests whose access is registration or credentialed."""
    names = sorted(path.stem for path in manifest_folder().glob("*.yaml"))
    return tuple(name for name in names if load_manifest(name).access in RESTRICTED_ACCESS)


def json_faults(value: Any, path: Path, copy: LocalCopy) -> Iterator[tuple[str, int]]:
    """Kind and count of what a JSON file (a notebook, evidence, a classifier) must not hold."""
    if isinstance(value, dict) and isinstance(value.get("cells"), list):
        folders = read_folders(parameters_of(value), path)
        if set(folders) & set(copy.private):
            yield "cells that draw pixels of restricted records", len(_drawing(value["cells"]))
    elif isinstance(value, dict) and isinstance(value.get("weights"), dict):
        if _is_private_classifier(value["weights"], copy):
            yield "sentence classifiers with words of restricted reports", 1
    elif isinstance(value, list):
        yield from _evidence([each for each in value if isinstance(each, dict)])


def evidence_values(value: Any) -> str:
    """The values of evidence records, one behind the other; interval bounds stand between them."""
    if not isinstance(value, list):
        return ""
    return " ".join(
        str(each["value"]) for each in value if isinstance(each, dict) and "value" in each
    )


def parameters_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an executed notebook: what its tagged cells set, and what papermill notes."""
    found: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if set(cell.get("metadata", {}).get("tags", ())) & set(_PARAMETER_TAGS):
            found |= _assigned("".join(cell.get("source", "")))
    noted = notebook.get("metadata", {}).get("papermill", {}).get("parameters") or {}
    return {**found, **noted}


def _assigned(source: str) -> dict[str, Any]:
    """Literals that are given names at the top of a piece of code."""
    found = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return {}
    for each in statements:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        value = getattr(each, "value", None)
        if isinstance(targets[0], ast.Name) and isinstance(value, ast.Constant):
            found[targets[0].id] = value.value
    return found


def read_folders(parameters: dict[str, Any], notebook: Path) -> list[Path]:
    """Folders that the parameters name and that are there, seen from where notebooks run.

    Args:
        parameters: of the notebook.
        notebook: its path; copies lie deeper beside the folder of sources.
    """
    places = [
        notebook.parent,
        *(folder / "notebooks" for folder in notebook.absolute().parents[:8]),
    ]
    texts = [value for value in parameters.values() if isinstance(value, str) and value]
    found = [(place / text).resolve() for text in texts for place in places if _short(text)]
    return list(dict.fromkeys(folder for folder in found if folder.is_dir()))


def _short(text: str) -> bool:
    return len(text) < 1024 and "\0" not in text and "\n" not in text


def _drawing(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells with outputs that call what draws pixels."""
    calls = re.compile(rf"\b(?:{'|'.join(DRAWS_PIXELS)})\(")
    return [
        cell
        for cell in cells
        if cell.get("outputs") and calls.search("".join(cell.get("source", "")))
    ]


def _is_private_classifier(weights: dict[str, Any], copy: LocalCopy) -> bool:
    """Whether it is not the one of open records; a classifier's features are words of reports."""
    known = [folder / CLASSIFIER for folder in copy.open if (folder / CLASSIFIER).exists()]
    same = (
        json.loads(path.read_text(encoding="utf-8")).get("weights") == weights for path in known
    )
    return bool(copy.private) and all(map(_is_number, weights.values())) and not any(same)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _evidence(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Evidence of restricted sets that is about one case."""
    names = restricted_datasets()
    own = [each for each in records if str(each.get("dataset", "")).startswith(names)]
    details = [str(each.get("detail", "")) for each in own if "metric" in each]
    yield "evidence records about one case (n = 1)", sum(each.get("n") == 1 for each in own)
    named = sum(bool(_LOOKS_LIKE_AN_ID.search(detail)) for detail in details)
    yield "evidence records whose detail is an identifier", named
    told = sum(bool(_SENTENCE.fullmatch(detail)) for detail in details)
    yield "evidence records whose detail is a sentence", told
