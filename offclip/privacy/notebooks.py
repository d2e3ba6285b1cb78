"""Which folders and datasets a notebook reads, from its parameters."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from offclip.data.manifests import load_manifest, manifest_folder
from offclip.text.destination import RESTRICTED_ACCESS

_PARAMETER_TAGS = {"parameters", "injected-parameters"}


@cache
def restricted_datasets() -> tuple[str, ...]:
    """Names of the manifests whose access is registration or credentialed."""
    names = sorted(path.stem for path in manifest_folder().glob("*.yaml"))
    return tuple(name for name in names if load_manifest(name).access in RESTRICTED_ACCESS)


def parameters_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an executed notebook: what its tagged cells set, and what papermill notes."""
    values: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if _PARAMETER_TAGS & set(cell.get("metadata", {}).get("tags", ())):
            values |= _assigned("".join(cell.get("source", "")))
    noted = notebook.get("metadata", {}).get("papermill", {}).get("parameters") or {}
    return {**values, **noted}


def _assigned(source: str) -> dict[str, Any]:
    """Literals that are assigned to names at the top of a piece of code."""
    values = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return {}
    for each in statements:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        value = getattr(each, "value", None)
        if isinstance(targets[0], ast.Name) and isinstance(value, ast.Constant):
            values[targets[0].id] = value.value
    return values


def read_folders(parameters: dict[str, Any], notebook: Path) -> list[Path]:
    """Folders that the parameters name and that are there, seen from where notebooks run.

    Args:
        parameters: of the notebook.
        notebook: its path; executed copies lie deeper than the folder of sources.
    """
    texts = [value for value in parameters.values() if isinstance(value, str)]
    texts = [text for text in texts if 0 < len(text) < 1024 and not set(text) & {"\0", "\n"}]
    above = notebook.absolute().parents[:8]
    places = [notebook.parent, *(folder / "notebooks" for folder in above)]
    paths = [(place / text).resolve() for text in texts for place in places]
    return list(dict.fromkeys(path for path in paths if path.is_dir()))
