"""Keep the committed notebooks in one form: few outputs, plain metadata, short cells.

Outputs are kept only in cells tagged ``nbval-check-output`` (execution count 1), since nbval
compares nothing in a cell whose count is null. Run ``python -m book.notebook_sources`` to mend,
``--check`` to list faults (exit code 1), ``--refresh`` to run at the defaults and store the
checked outputs anew.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
import papermill
from nbclient import NotebookClient
from nbformat import NotebookNode

from book.execute import NOTEBOOKS, QUIET_KERNEL
from offclip.files import write_text

CHECKED = "nbval-check-output"
KEPT_METADATA = ("tags", "mystnb")
MAX_LINES = 15
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_UNSTABLE = re.compile(r" at 0x[0-9a-f]{6,}|/(?:home|root|Users|tmp)/")


def clean(notebook: NotebookNode) -> NotebookNode:
    """A normalised copy of ``notebook``; cells, their order and their texts stay."""
    copy = nbformat.from_dict(notebook)
    copy.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    copy.nbformat, copy.nbformat_minor = 4, 5
    for number, cell in enumerate(copy.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata}
        )
        if cell.cell_type == "code":
            _clean_outputs(cell)
    return copy


def _clean_outputs(cell: NotebookNode) -> None:
    if CHECKED not in cell.metadata.get("tags", []):
        cell.outputs, cell.execution_count = [], None
        return
    cell.execution_count = 1
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = 1
        if "data" in output:
            text = {kind: value for kind, value in output.data.items() if kind.startswith("text/")}
            output.data = nbformat.from_dict(text)
            output.metadata = {}


def faults(path: Path) -> list[str]:
    """What in the notebook at ``path`` breaks the house rules, in words."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    found = [] if text == _text(clean(notebook)) else ["not in the house form: run `make format`"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found += _parameter_faults(path, code)
    checked = [cell for cell in code if CHECKED in cell.metadata.get("tags", [])]
    if not checked:
        found.append(f"no cell is tagged {CHECKED}: nothing would be compared")
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        lines = [line for line in cell.source.splitlines() if _is_code(line)]
        if len(lines) > MAX_LINES:
            found.append(f"cell {number} has {len(lines)} lines of code; at most {MAX_LINES}")
        if cell in checked:
            found += [f"cell {number}: {fault}" for fault in _output_faults(cell)]
    return [f"{path.name}: {fault}" for fault in found]


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _parameter_faults(path: Path, code: list[NotebookNode]) -> list[str]:
    tagged = [i for i, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", [])]
    if tagged != [0]:
        return ["the first code cell, and no other, has to be tagged parameters"]
    found = []
    if len(code) < 2 or "check_parameters(" not in code[1].source:
        found.append("the second code cell has to call check_parameters(globals(), …)")
    seen = papermill.inspect_notebook(str(path))
    declared = re.findall(r"^(\w+)\s*:[^=\n]+=", code[0].source, flags=re.M)
    lines = [line for line in code[0].source.splitlines() if _is_code(line)]
    if len(lines) != len(declared):
        found.append("a line of the parameters cell is not of the form `name: type = value  # …`")
    found += [
        f"papermill cannot read parameter {name!r}: write the type without `|`"
        for name in declared
        if name not in seen
    ]
    return found + [
        f"parameter {name!r} has no comment" for name, p in seen.items() if not p["help"]
    ]


def _output_faults(cell: NotebookNode) -> list[str]:
    if not cell.outputs:
        return ["no stored output: run `make refresh-notebooks`"]
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    found = []
    if any(o.output_type == "error" or o.get("name") == "stderr" for o in cell.outputs):
        found.append("a checked output may hold no error and nothing from stderr")
    if not all(texts):
        found.append("a checked output needs a text/plain form")
    if any(not kind.startswith("text/") for o in cell.outputs for kind in o.get("data", {})):
        found.append("a checked output may hold text only: draw the figure in another cell")
    if unstable := next(filter(None, map(_UNSTABLE.search, texts)), None):
        found.append(f"output changes between runs or machines: {unstable.group()!r}")
    return found


def refresh(path: Path) -> None:
    """Run the notebook at its defaults, in its folder, and store the checked outputs only."""
    notebook = nbformat.read(path, as_version=4)
    run = nbformat.from_dict(notebook)
    NotebookClient(
        run,
        timeout=1800,
        kernel_name="python3",
        extra_arguments=QUIET_KERNEL,
        resources={"metadata": {"path": path.parent}},
    ).execute()
    write_text(path, _text(clean(run)))


def _text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Keep the committed notebooks in one form.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="list faults, change nothing")
    mode.add_argument("--refresh", action="store_true", help="run, and store checked outputs")
    parser.add_argument(
        "names", nargs="*", help="notebooks without suffix; all where none is named"
    )
    options = parser.parse_args(arguments)
    paths = [NOTEBOOKS / f"{n}.ipynb" for n in options.names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    if options.check:
        found = [fault for path in paths for fault in faults(path)]
        print("\n".join(found) or f"{len(paths)} notebooks are in the house form")
        return 1 if found else 0
    for path in paths:
        start = time.monotonic()
        if options.refresh:
            refresh(path)
        else:
            write_text(path, _text(clean(nbformat.read(path, as_version=4))))
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
