"""Report files to sentences and prompts, by parts that stay on disk until records are made.

Imports ``offclip.text``, ``offclip.files`` and its neighbours.
"""

import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from offclip.data.parts import Part, cut, rows_before
from offclip.data.spread import Spread
from offclip.files import atomic_path, path_inside
from offclip.keys import code_version, fingerprint_inside
from offclip.text import RulePrompter, image_text, report_prompts, split_sections

PART = 2048  # reports of a part
FAULTS = ("no_report", "outside", "not_text", "empty", "no_prompt")
"""Why a report gives nothing: it is missing, leads out of the root, is not text, has no findings
and no impression, or gave no prompt."""
LASTING = ("", "empty", "no_prompt")
"""What is so until the file changes; everything else is tried again."""
LARGEST = 1_000_000
"""Bytes; a larger file is not text. The longest real reports have some ten thousand."""
Reading = tuple[str, str, list[str], list[str]]  # fault, its words, sentences, prompts


def write_texts(
    folder: str | Path, root: str | Path, names: Sequence[str], *, spread: Spread = map
) -> pd.DataFrame:
    """Read reports and keep their sentences and prompts.

    Called again, only reports are read again that have changed (by their fingerprint), could not
    be read, or were read by other code.

    Args:
        folder: for the parts; they are read with :func:`text_parts`.
        root: of the reports; nothing outside it is opened.
        names: paths below ``root``.
        spread: shares out the parts.

    Returns:
        For each report why it gives nothing: ``fault`` (of ``FAULTS``, or "") and ``error``.
    """
    folder, root = Path(folder).absolute(), Path(root).absolute()
    faults: list[tuple[str, str]] = []
    for found in spread(partial(_write_part, folder, root), cut(names, PART)):
        faults += found
    return pd.DataFrame(faults, columns=["fault", "error"])


def text_parts(folder: str | Path, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The parts that :func:`write_texts` left, in order: ``report, sentences, prompts`` and more.

    Raises:
        ValueError: somebody else wrote into the folder.
    """
    for start, own in cut(names, PART):
        part = pd.read_parquet(_file(Path(folder), start))
        if part["report"].tolist() != own:
            raise ValueError(f"{folder}: somebody else wrote here at the same time; curate again")
        yield part.assign(**{name: part[name].map(list) for name in ("sentences", "prompts")})


def _write_part(folder: Path, root: Path, part: Part) -> list[tuple[str, str]]:
    start, names = part
    path, prompter = _file(folder, start), RulePrompter()
    before, found = rows_before(path, "report", names), []
    for name, old in zip(names, before or [{}] * len(names), strict=True):
        fingerprint = fingerprint_inside(root, name)
        known = {"report": name, "fingerprint": fingerprint, "code": code_version(__name__)}
        if old and old["fault"] in LASTING and known.items() <= old.items():
            found.append(old)
            continue
        reading = _read(root, name, prompter)
        columns = ("fault", "error", "sentences", "prompts")
        found.append({**known, **dict(zip(columns, reading, strict=True))})
    with atomic_path(path) as temporary:
        pd.DataFrame(found).to_parquet(temporary, index=False)
    return [(each["fault"], each["error"]) for each in found]


def _read(root: Path, name: str, prompter: RulePrompter) -> Reading:
    try:
        path = path_inside(root, name)
        if path is None:
            return "outside", f"leads out of {root}; nothing outside it is opened", [], []
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST:
            return "not_text", f"no file, or one of more than {LARGEST:,} bytes", [], []
        body = image_text(split_sections(path.read_text(encoding="utf-8-sig")))
    except (OSError, RuntimeError) as error:  # the second: links in a circle
        return "no_report", str(error), [], []
    except ValueError as error:  # bytes that are no UTF-8, or a name that no file can have
        return "not_text", type(error).__name__, [], []
    if not body:
        return "empty", "", [], []
    sentences, prompts, _ = report_prompts(body, prompter)
    return ("" if prompts else "no_prompt"), "", sentences, prompts


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:08d}.parquet"
