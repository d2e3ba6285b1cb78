"""Report files to sentences and prompts, by parts that stay on disk until records are made.

Imports ``offclip.text``, ``offclip.files`` and its neighbours.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

import offclip.text
from offclip.data.spread import Spread
from offclip.files import atomic_path, source_checksum
from offclip.text import RulePrompter, image_text, report_prompts, split_sections

PART = 2048  # reports of a part
FAULTS = ("no_report", "outside", "not_text", "empty", "no_prompt")
"""Why a report gives nothing: it is missing, leads out of the root, is not text, has no findings
and no impression, or gave no prompt."""
LARGEST = 1_000_000
"""Bytes; a larger file is not text. The longest real reports have some ten thousand."""
Part = tuple[int, list[str]]  # number of the first report, and names


def write_texts(
    folder: str | Path, root: str | Path, names: Sequence[str], *, spread: Spread = map
) -> list[str]:
    """Read reports and keep their sentences and prompts; finished parts are not read again.

    Args:
        folder: for the parts; they are read with :func:`text_parts`.
        root: of the reports; nothing outside it is opened.
        names: paths below ``root``.
        spread: shares out the parts.

    Returns:
        Why each report gives nothing (of ``FAULTS``), or "".
    """
    folder, root = Path(folder).absolute(), Path(root).absolute()
    faults: list[str] = []
    for found in spread(partial(_write_part, folder, root), _parts(names)):
        faults += found
    return faults


def text_parts(folder: str | Path, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The parts that :func:`write_texts` left, in order: ``report, fault, sentences, prompts``."""
    for start, _ in _parts(names):
        part = pd.read_parquet(_file(Path(folder), start))
        lists = {name: [list(each) for each in part[name]] for name in ("sentences", "prompts")}
        yield part.assign(**lists)


def _parts(names: Sequence[str]) -> Iterator[Part]:
    for start in range(0, len(names), PART):
        yield start, list(names[start : start + PART])


def _write_part(folder: Path, root: Path, part: Part) -> list[str]:
    start, names = part
    path = _file(folder, start)
    if path.exists():
        before = pd.read_parquet(path, columns=["report", "fault"])
        if before["report"].tolist() == names:
            return before["fault"].tolist()
    prompter, top = RulePrompter(), root.resolve()
    rows = [(name, *_read(root / name, top, prompter)) for name in names]
    found = pd.DataFrame(rows, columns=["report", "fault", "sentences", "prompts"])
    with atomic_path(path) as temporary:
        found.to_parquet(temporary, index=False)
    return found["fault"].tolist()


def _read(path: Path, top: Path, prompter: RulePrompter) -> tuple[str, list[str], list[str]]:
    try:
        if not path.resolve().is_relative_to(top):
            return "outside", [], []
        if path.stat().st_size > LARGEST:
            return "not_text", [], []
        body = image_text(split_sections(path.read_text(encoding="utf-8-sig")))
    except (OSError, RuntimeError):  # the second: links in a circle
        return "no_report", [], []
    except ValueError:  # bytes that are no UTF-8, or a name that no file can have
        return "not_text", [], []
    if not body:
        return "empty", [], []
    sentences, prompts, _ = report_prompts(body, prompter)
    return ("" if prompts else "no_prompt"), sentences, prompts


def _file(folder: Path, start: int) -> Path:
    """Of a part; other code that reads texts takes other files."""
    version = source_checksum(Path(offclip.text.__file__).parent)
    return folder / f"texts_{version:08x}_{start:08d}.parquet"
