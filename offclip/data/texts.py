"""Report files to sentences and prompts, in one file of JSON lines, one line per study."""

import hashlib
import json
import stat
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from offclip.data.journal import as_line, read_lines
from offclip.data.spread import Spread
from offclip.files import path_inside
from offclip.text import (
    Prompter,
    RulePrompter,
    image_text,
    report_prompts,
    split_sections,
    split_sentences,
)

PART = 2048
"""Reports of one task of the parallel map, and of one part of records."""
FAULTS = ("no_report", "outside", "not_text", "empty", "no_prompt")
"""Why a report gives nothing: it is missing, leads out of the root, is not text, has no findings
and no impression, or gave no prompt."""
LARGEST = 1_000_000
"""Bytes; a larger file is not text. The longest real reports have some ten thousand."""
_Reading = tuple[str, str, bytes]  # fault, its message, line


class _NoText(Exception):
    """A fault of ``FAULTS`` and its message."""


def write_texts(
    path: str | Path,
    root: str | Path,
    names: Sequence[str],
    *,
    prompter: Prompter | None = None,
    spread: Spread = map,
) -> pd.DataFrame:
    """Read reports and write their sentences and prompts, one line per report.

    With the default prompter, the file is written again: rules take minutes. With another one, such
    as a language model, which may take days, every line is written as soon as it is known, and a
    restart reads only reports again whose text is not in the file.

    Args:
        path: of the file; its lines are read with :func:`read_texts`.
        root: of the reports; nothing outside it is opened.
        names: paths below ``root``.
        prompter: rewrites sentences; default: the rules.
        spread: parallel map over tasks; a task of another prompter than the rules is one report.

    Returns:
        For each report why it gives nothing, ``fault`` (of ``FAULTS``, or "") and ``error``, and
        ``line``: where its line begins in the file, -1 for none.
    """
    path, root = Path(path), Path(root).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    known, rows_before = {}, {}
    if prompter is not None:
        for start, value in read_lines(path):
            known[value["report"]] = value["text"]
            rows_before[value["report"]] = (_fault_of(value["prompts"]), "", start)
    size = PART if prompter is None else 1
    tasks = (
        [(name, known.get(name, "")) for name in names[start : start + size]]
        for start in range(0, len(names), size)
    )
    rows: list[tuple[str, str, int]] = []
    with path.open("wb" if prompter is None else "ab") as file:
        for readings in spread(partial(_read_all, root, prompter), tasks):
            for reading in readings:
                if reading is None:
                    rows.append(rows_before[names[len(rows)]])
                    continue
                fault, error, line = reading
                rows.append((fault, error, file.tell() if line else -1))
                file.write(line)
            file.flush()
    return pd.DataFrame(rows, columns=["fault", "error", "line"])


def read_texts(path: str | Path, starts: Iterable[int]) -> dict[str, list[list[str]]]:
    """``sentences`` and ``prompts`` of the lines that begin there."""
    texts: dict[str, list[list[str]]] = {"sentences": [], "prompts": []}
    with Path(path).open("rb") as file:
        for start in starts:
            file.seek(start)
            line = json.loads(file.readline())
            for name, column in texts.items():
                column.append(line[name])
    return texts


def prompter_name(prompter: Prompter) -> str:
    """Class of a prompter, and its model if it has one: prompts of two names are not mixed."""
    return f"{type(prompter).__name__} {getattr(prompter, 'model', '')}".strip()


def _read_all(
    root: Path, prompter: Prompter | None, reports: Sequence[tuple[str, str]]
) -> list[_Reading | None]:
    """Readings of (name, digest of the text that is known); None where it has not changed."""
    return [_reading(root, name, digest, prompter) for name, digest in reports]


def _reading(root: Path, name: str, known: str, prompter: Prompter | None) -> _Reading | None:
    try:
        body = _body(root, name)
    except _NoText as error:
        return (*error.args, b"")
    digest = "" if prompter is None else _digest(body, prompter)
    if digest and digest == known:
        return None
    sentences, prompts, _ = report_prompts(body, prompter or RulePrompter())
    line = {"report": name, "text": digest, "sentences": sentences, "prompts": prompts}
    return _fault_of(prompts), "", as_line(line)


def _body(root: Path, name: str) -> str:
    """Findings and impression of a report."""
    try:
        path = path_inside(root, name)
        if path is None:
            raise _NoText("outside", f"leads out of {root}; nothing outside it is opened")
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST:
            raise _NoText("not_text", f"no file, or one of more than {LARGEST:,} bytes")
        body = image_text(split_sections(path.read_text(encoding="utf-8-sig")))
    except (OSError, RuntimeError) as error:  # the second: links in a circle
        raise _NoText("no_report", str(error)) from error
    except ValueError as error:  # bytes that are no UTF-8, or a name that no file can have
        raise _NoText("not_text", type(error).__name__) from error
    if not body:
        raise _NoText("empty", "")
    return body


def _fault_of(prompts: Sequence[str]) -> str:
    return "" if prompts else "no_prompt"


def _digest(body: str, prompter: Prompter) -> str:
    """Of the sentences that the prompter gets, and of its name."""
    parts = [prompter_name(prompter), *split_sentences(body)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
