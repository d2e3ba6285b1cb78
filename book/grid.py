"""One notebook over a grid of parameters, shared out to local processes or a Dask cluster.

    python -m book.grid notebooks/params/grid.yaml --jobs 2 --record runs/grid/all.csv

The file names a notebook, parameters that all runs share, and lists of values:

    notebook: 07_train
    fixed: {epochs: 15}
    grid: {variant: [infonce, offclip], seed: [0, 1, 2], data: [../runs/data]}

Every combination is a run of papermill in a folder of its own, with the executed copy and, where
the notebook has a parameter ``record``, the evidence of this run. Finished runs are kept as those
of the book are, while the files that their parameters name stay as they were; a run that fails is
named and does not stop the others.
"""

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import papermill
import yaml

from book.execute import NOTEBOOKS, ROOT, NotebookFailed, execute_all
from book.parameters import check_parameters_of
from offclip.cli.shared import spread_options
from offclip.data.spread import Spread, spread
from offclip.evaluation import check_record, read_evidence, write_evidence
from offclip.evaluation.evidence import RUNS
from offclip.files import write_json
from offclip.folders import Mark, claim

RECORD, EVIDENCE = "record", "evidence.csv"
_FILES = ("parameters.json", EVIDENCE, RUNS, "*.ipynb", "*.stamp.json")


@dataclass(frozen=True)
class Cell:
    """One run: the notebook, all of its parameters, and its folder."""

    notebook: Path
    values: dict[str, Any]
    folder: Path

    @property
    def evidence(self) -> Path:
        """The file of the run's records."""
        return self.folder / EVIDENCE


def read_grid(path: Path, out: Path, notebooks: Path = NOTEBOOKS) -> list[Cell]:
    """The runs of a grid file, every name and value checked before anything runs.

    Raises:
        FileNotFoundError: no such file.
        ValueError: keys that are unknown or missing, no notebook of that name, an empty list, a
            value twice in a list, a name in ``fixed`` and ``grid``, an unknown parameter, or a
            value of the wrong type.
    """
    asked = _asked(path)
    notebook = notebooks / f"{asked['notebook']}.ipynb"
    if not notebook.is_file():
        known = ", ".join(sorted(each.stem for each in notebooks.glob("*.ipynb")))
        raise ValueError(f"{path}: notebook: expected one of {known}; got {asked['notebook']!r}")
    grid = asked["grid"]
    combinations = [
        {**asked["fixed"], **dict(zip(grid, chosen, strict=True))}
        for chosen in itertools.product(*grid.values())
    ]
    checked = [check_parameters_of(notebook, each, str(path)) for each in combinations]
    for name, values in grid.items():
        different = {json.dumps(each[name], sort_keys=True) for each in checked}
        if len(different) < len(values):
            raise ValueError(f"{path}: grid: {name}: expected each value once, got {values}")
    return [_cell(notebook, values, out) for values in checked]


def _asked(path: Path) -> dict[str, Any]:
    """What a grid file says, in its right form."""
    try:
        asked = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: expected a grid file, got nothing there") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML ({error}); repair the file") from error
    needed = {"notebook", "grid"}
    if not isinstance(asked, dict) or not needed <= set(asked) <= needed | {"fixed"}:
        raise ValueError(f"{path}: expected the keys notebook, grid and, if you like, fixed")
    fixed, grid = asked.get("fixed") or {}, asked["grid"]
    lists = grid.values() if isinstance(grid, dict) else [None]
    if not all(isinstance(each, list) and each for each in lists):
        raise ValueError(f"{path}: grid: expected a list of values for each name")
    if not isinstance(fixed, dict) or set(fixed) & set(grid):
        raise ValueError(f"{path}: fixed: expected name: value lines, none of them in grid")
    return {**asked, "fixed": fixed}


def _cell(notebook: Path, values: dict[str, Any], out: Path) -> Cell:
    text = json.dumps(values, sort_keys=True)
    folder = out / f"{notebook.stem}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return Cell(notebook, values, folder.absolute())


def run_grid(cells: Sequence[Cell], *, limit: float, spread: Spread = map) -> dict[str, str]:
    """Run what is not finished; why each run failed, or "", by its folder's name."""
    failures = spread(partial(_run, limit=limit), cells)
    return {cell.folder.name: failure for cell, failure in zip(cells, failures, strict=True)}


def _run(cell: Cell, *, limit: float) -> str:
    values = dict(cell.values)
    try:
        claim(cell.folder, Mark("run of a notebook", "", {"notebook": cell.notebook.stem}, _FILES))
        write_json(cell.folder / "parameters.json", values)
        if RECORD in papermill.inspect_notebook(str(cell.notebook)):
            values[RECORD] = str(cell.evidence)
        execute_all(
            [cell.notebook], {cell.notebook.stem: values}, out=cell.folder, private=cell.folder,
            root=ROOT, limit=limit, made=[cell.evidence],
        )  # fmt: skip
    except NotebookFailed as failure:
        return str(failure)
    except (ValueError, OSError, RuntimeError) as error:  # a full disk, damaged records
        return f"{cell.folder.name}: {type(error).__name__}: {error}"
    return ""


def with_evidence(cells: Sequence[Cell], failures: Mapping[str, str]) -> list[Cell]:
    """The runs that did not fail and wrote records, in the order of the grid."""
    return [each for each in cells if not failures[each.folder.name] and each.evidence.is_file()]


def merged(cells: Sequence[Cell], failures: Mapping[str, str]) -> pd.DataFrame:
    """The records of all runs that did not fail, in the order of the grid."""
    return read_evidence(*(each.evidence for each in with_evidence(cells, failures)))


def main(arguments: list[str] | None = None) -> int:
    """Run a grid; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "grid")
    spread_options(parser)
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds for one run")
    parser.add_argument("--record", type=Path, help="CSV file for the evidence of all runs")
    options = parser.parse_args(arguments)
    try:
        if options.record:
            check_record(options.record)
        cells = read_grid(options.grid, options.out)
        with spread(options.jobs, options.scheduler) as each:
            failures = run_grid(cells, limit=options.limit, spread=each)
        if options.record:
            write_evidence(options.record, merged(cells, failures))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"grid: {error}", file=sys.stderr)
        return 1
    for cell in cells:
        state = "FAILED" if failures[cell.folder.name] else "done"
        print(f"{state:6} {cell.folder.name} {cell.values}")
    failed = [failure for failure in failures.values() if failure]
    print(f"{len(cells)} runs: {len(cells) - len(failed)} done, {len(failed)} failed; "
          f"{len(with_evidence(cells, failures))} with evidence")  # fmt: skip
    for failure in failed:
        print(f"\n{failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
