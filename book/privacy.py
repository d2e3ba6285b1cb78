"""What the book must not show of the records behind it; see book/data-access.md.

Compared with every copy at hand: the records that executed notebooks read, those below ``runs``,
and those that ``OFFCLIP_RECORDS`` names (folders, separated as in ``PATH``).
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from offclip.data.curation_folder import INVENTED
from offclip.privacy import find_leaks, local_copy
from offclip.privacy.local import RECORDS, holds_restricted
from offclip.privacy.notebooks import parameters_of, read_folders, restricted_datasets

ROOT = Path(__file__).resolve().parents[1]
PRIVATE = Path("runs") / "private" / "notebooks"
"""Below the project: executed notebooks of restricted records, ignored by git and by the book."""
NOTE = """```{admonition} Not on this page
This notebook read records of restricted access when the book was built. Its numbers and figures
stay on the machine that ran it, in `runs/private/notebooks`.
```"""


def privacy_faults(
    paths: Iterable[Path], executed: Iterable[Path] = (), *, root: Path = ROOT
) -> list[str]:
    """What ``paths`` show that they must not, one line each; the text itself is not repeated.

    Args:
        paths: files and folders that are to be published.
        executed: folders of executed notebooks, whose parameters name records.
        root: the project, whose ``runs`` may hold records.

    Raises:
        FileNotFoundError: a path is not there, or no records where ``OFFCLIP_RECORDS`` says.
        ValueError: records are damaged.
    """
    copy = local_copy(record_folders([*executed, root / PRIVATE], root), without=INVENTED)
    _, findings = find_leaks(paths, copy)
    return [str(finding) for finding in findings]


def record_folders(executed: Iterable[Path], root: Path = ROOT) -> list[Path]:
    """Folders at hand with records at or below them."""
    named = [Path(each) for each in os.environ.get("OFFCLIP_RECORDS", "").split(os.pathsep) if each]
    runs = [root / "runs"] if any((root / "runs").rglob(RECORDS)) else []
    notebooks = [path for folder in executed for path in sorted(folder.glob("*.ipynb"))]
    inputs = [folder for path in notebooks for folder in notebook_folders(path)]
    folders = [*named, *runs, *(folder for folder in inputs if (folder / RECORDS).exists())]
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def notebook_folders(notebook: Path) -> list[Path]:
    """Folders that the parameters of an executed notebook name."""
    return read_folders(parameters_of(nbformat.read(notebook, as_version=4)), notebook)


def reads_restricted(notebook: Path, values: Mapping[str, Any]) -> bool:
    """Whether a notebook reads registration or credentialed data: records, or a set at its root.

    Args:
        notebook: the source.
        values: parameters that are not at their default.
    """
    parameters = {**parameters_of(nbformat.read(notebook, as_version=4)), **values}
    folders = read_folders(parameters, notebook)
    if any(holds_restricted(each) for each in folders if not (each / INVENTED).exists()):
        return True
    root = read_folders({"root": parameters.get("root", "")}, notebook)
    real = [folder for folder in root if not (folder / INVENTED).exists()]
    return bool(real) and parameters.get("dataset") in restricted_datasets()


def withheld(notebook: Path) -> NotebookNode:
    """The source without outputs, with a note under its title: what the book shows instead."""
    source = nbformat.read(notebook, as_version=4)
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    source.cells.insert(1, new_markdown_cell(NOTE))
    return source
