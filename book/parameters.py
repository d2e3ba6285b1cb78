"""The parameter files of the book, ``notebooks/params/*.yaml``, checked before anything runs.

A file holds one section per notebook (its name without ``.ipynb``), and in it name: value.
"""

from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml

from offclip.parameters import convert, declared_types, nearest

Parameters = dict[str, dict[str, Any]]


def load_parameters(path: Path, notebooks: list[Path]) -> Parameters:
    """Read ``path`` and check every name and type against the notebooks.

    Raises:
        ValueError: every fault, one a line: a section that is no notebook, a name that the
            notebook does not declare (with the nearest one), a value of the wrong type.
        FileNotFoundError: there is no such file; the message names those that exist.
    """
    if not path.exists():
        found = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise FileNotFoundError(f"no parameter file {path}; there are: {found}")
    sections = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(sections, dict):
        raise ValueError(f"{path}: expected sections by notebook, got {type(sections).__name__}")
    by_name = {notebook.stem: notebook for notebook in notebooks}
    checked: Parameters = {name: {} for name in by_name}
    faults: list[str] = []
    for name, values in sections.items():
        if name not in by_name:
            faults.append(f"{path}: no notebook {name!r}{nearest(str(name), by_name)}")
            continue
        checked[name], found_faults = _check(by_name[name], values or {})
        faults += [f"{path}, {name}: {fault}" for fault in found_faults]
    if faults:
        raise ValueError("\n".join(faults))
    return checked


def check_parameters_of(notebook: Path, values: Any, where: str) -> dict[str, Any]:
    """The values, converted to the types that the notebook declares.

    Raises:
        ValueError: every fault, one a line; see :func:`load_parameters`.
    """
    checked, faults = _check(notebook, values)
    if faults:
        raise ValueError("\n".join(f"{where}, {notebook.stem}: {fault}" for fault in faults))
    return checked


def parameters_cell(notebook: Path) -> str:
    """Source of the cell tagged ``parameters``; empty where there is none."""
    cells = nbformat.read(notebook, as_version=4).cells
    return next((c.source for c in cells if "parameters" in c.metadata.get("tags", [])), "")


def _check(notebook: Path, values: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(values, dict):
        return {}, [f"expected name: value lines, got {values!r}"]
    known = papermill.inspect_notebook(str(notebook))
    types = declared_types([parameters_cell(notebook)])
    checked, faults = {}, []
    for name, value in values.items():
        if name not in known:
            faults.append(f"unknown parameter {name!r}{nearest(str(name), known)}")
            continue
        try:
            checked[name] = convert(value, types[name]) if name in types else value
        except ValueError as error:
            faults.append(f"parameter {name!r}: {error}")
    return checked, faults
