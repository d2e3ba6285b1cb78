"""Execute the notebooks with papermill into ``book/notebooks``; finished ones are kept.

A finished notebook is not run again while its sources, its parameters, the files and folders that
these name, the package, the evidence records, the data manifests and the pinned requirements stay
as they were (a stamp next to it has the fingerprint).
All of them run in ``runs/private/notebooks``. Those that read restricted records stay there, and
the book shows their source without outputs; the others are moved into the book when finished.
"""

import hashlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill

from book.privacy import PRIVATE, reads_restricted, withheld
from offclip.files import write_json, write_text
from offclip.folders import read_mark
from offclip.keys import tree_fingerprint
from offclip.privacy.notebooks import parameters_of

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "book" / "notebooks"
WATCHED = ("offclip/**/*.py", "offclip/**/*.js", "data_manifests/*.yaml", "book/results/*.csv")
WRITTEN = ("runs", "drill", "record")
"""Parameters that name what a notebook writes; all others that name a path name what it reads."""
QUIET_KERNEL = ["--IPKernelApp.log_level=50"]  # no advice about transports on the terminal
HEARTBEAT = 20.0  # seconds between signs of life


class NotebookFailed(RuntimeError):
    """A notebook raised, ran out of time, or lost its kernel; the message shows where."""


def execute_all(
    notebooks: list[Path],
    parameters: dict[str, dict[str, Any]],
    *,
    out: Path = EXECUTED,
    private: Path | None = None,
    root: Path = ROOT,
    limit: float = 900.0,
    made: Sequence[Path] = (),
) -> list[str]:
    """Execute ``notebooks`` in order; return the names of those that really ran.

    Args:
        notebooks: paths of the sources; they run in their own folder.
        parameters: checked parameters by notebook name.
        out: folder of the executed copies and their stamps.
        private: folder of the copies that read restricted records, ``runs/private/notebooks`` of
            ``root`` by default; where it is ``out``, nothing is shown of ``out``.
        root: project folder, whose package and records belong to the fingerprint.
        limit: seconds for one notebook.
        made: files that a run makes, removed before one that is not kept; of a single notebook.

    Raises:
        NotebookFailed: after every notebook has had its turn, when at least one failed.
    """
    ran, failures = [], []
    shared, private = shared_digest(root), private or root / PRIVATE
    for number, notebook in enumerate(notebooks, start=1):
        name = notebook.stem
        label = f"[{number}/{len(notebooks)}] {name}"
        values = parameters.get(name, {})
        cells = cells_digest(notebook, values, shared)
        mark = with_inputs(cells, notebook, values)
        place = private if reads_restricted(notebook, values) else out
        seconds = _finished(place, name, mark)
        if seconds is not None:
            print(f"{label}: unchanged, kept ({seconds:.0f} s when it ran)", flush=True)
        else:
            start = time.monotonic()
            running = private / f".{name}.running.ipynb"
            _stamp(place, name).unlink(missing_ok=True)
            for path in made:
                path.unlink(missing_ok=True)
            try:
                _execute(notebook, running, values, label, limit)
                if reads_restricted(notebook, values):  # it may have made the records itself
                    place = private
                place.mkdir(parents=True, exist_ok=True)
                shutil.move(running, place / notebook.name)
            except NotebookFailed as failure:
                print(f"{label}: FAILED after {time.monotonic() - start:.0f} s", flush=True)
                failures.append(str(failure))
                continue
            finally:
                running.unlink(missing_ok=True)
            seconds = time.monotonic() - start
            mark = with_inputs(cells, notebook, values)  # it may have made what it reads
            write_json(_stamp(place, name), {"fingerprint": mark, "seconds": round(seconds, 1)})
            print(f"{label}: done in {seconds:.0f} s", flush=True)
            ran.append(name)
        if place != out:
            _withhold(notebook, out)
            print(f"{label}: read restricted records; kept in {place}, not in the book", flush=True)
    if failures:
        raise NotebookFailed("\n\n".join(failures))
    return ran


def shared_digest(root: Path) -> str:
    """Digest of all that every notebook depends on: package, records, manifests, pins, Python."""
    digest = hashlib.sha256(sys.version.encode())
    files = {path for pattern in WATCHED for path in root.glob(pattern)}
    for path in sorted([*files, root / "requirements.txt"]):
        if path.exists():
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cells_digest(notebook: Path, parameters: dict[str, Any], shared: str) -> str:
    """Digest of a notebook's cells (outputs aside), its parameters and ``shared``."""
    cells = nbformat.read(notebook, as_version=4).cells
    content = [[cell.cell_type, cell.source, cell.metadata] for cell in cells]
    text = json.dumps([content, parameters, shared], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_inputs(cells: str, notebook: Path, parameters: dict[str, Any]) -> str:
    """Fingerprint of a run: its cells, and the files and folders that its parameters name."""
    inputs = {**parameters_of(nbformat.read(notebook, as_version=4)), **parameters}
    state = {name: input_fingerprint(notebook, value) for name, value in inputs.items()
             if name not in WRITTEN}  # fmt: skip
    return hashlib.sha256(json.dumps([cells, state], sort_keys=True).encode()).hexdigest()


def input_fingerprint(notebook: Path, value: Any) -> str:
    """Fingerprint of the file or folder that a parameter names, seen from the notebook's folder.

    Of a folder of ours, what its mark lists counts. "" for a value that names nothing there.
    """
    path = notebook.parent / value if isinstance(value, str) and value else None
    try:
        if path is None or not path.exists():
            return ""
    except OSError:  # a text that no path can be
        return ""
    mark = read_mark(path) if path.is_dir() else None
    return tree_fingerprint(path, only=mark.owns if mark else None)


def _withhold(notebook: Path, out: Path) -> None:
    """Put the source without outputs where the book looks for the executed copy."""
    _stamp(out, notebook.stem).unlink(missing_ok=True)
    write_text(out / notebook.name, nbformat.writes(withheld(notebook)) + "\n")


def _execute(
    notebook: Path, running: Path, parameters: dict[str, Any], label: str, limit: float
) -> None:
    deadline = time.monotonic() + limit
    running.parent.mkdir(parents=True, exist_ok=True)
    progress = {"cell": 0}
    try:
        with _heartbeat(label, progress):
            papermill.execute_notebook(
                str(notebook),
                str(running),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(notebook.parent),
                extra_arguments=QUIET_KERNEL,
                on_cell_start=lambda cell, cell_index: progress.update(cell=cell_index + 1),
                timeout_func=lambda cell: max(1.0, deadline - time.monotonic()),
            )
    except papermill.PapermillExecutionError as error:
        raise NotebookFailed(_failure(notebook, error)) from error
    except Exception as error:  # a lost kernel, a time limit, a full disk: name the notebook
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NotebookFailed(
            f"{notebook.name}, cell {progress['cell']}: {type(error).__name__}: {reason[0]} "
            f"(limit {limit:.0f} s a notebook)"
        ) from error


def _failure(notebook: Path, error: papermill.PapermillExecutionError) -> str:
    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    return f"{notebook.name}, cell {error.cell_index}:\n{source}\n{error.ename}: {error.evalue}"


@contextmanager
def _heartbeat(label: str, progress: dict[str, int]) -> Iterator[None]:
    print(f"{label}: running", flush=True)
    start, done = time.monotonic(), threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT):
            seconds = time.monotonic() - start
            print(f"{label}: cell {progress['cell']}, {seconds:.0f} s", flush=True)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _finished(out: Path, name: str, mark: str) -> float | None:
    """Seconds of the finished run with this fingerprint, or None where there is none."""
    if not (out / f"{name}.ipynb").exists():
        return None
    try:
        stamp = json.loads(_stamp(out, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return float(stamp["seconds"]) if stamp.get("fingerprint") == mark else None


def _stamp(out: Path, name: str) -> Path:
    return out / f"{name}.stamp.json"
