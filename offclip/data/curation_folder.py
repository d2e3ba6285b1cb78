"""The folder that a curation of an archive fills: who holds it, and whether it is finished.

Imports the image cache and ``offclip.files``.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from offclip.data import cache
from offclip.files import remove_parts

RECORDS, LEFT_OUT, COUNTS = "records.parquet", "left_out.parquet", "counts.json"
CLASSIFIER, TEXTS = "classifier.json", "texts"
INVENTED = "REHEARSAL.txt"
"""A file at the root of a copy that ``offclip.rehearsal`` wrote; records of it have it as well."""
_LOCK = ".lock"
_COUNTED = ("images", "normal", "abnormal", "prompts")


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder; the lock goes with the process, however it ends.

    Raises:
        ValueError: another process holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{out}: another curation is at work here; give another --out"
            raise ValueError(message) from error
        remove_parts(out)
        yield
        (out / _LOCK).unlink(missing_ok=True)


def remove_results(out: Path) -> None:
    """Remove what an earlier curation made, the mark that it is finished first."""
    for name in (COUNTS, RECORDS, LEFT_OUT, CLASSIFIER, INVENTED):
        (out / name).unlink(missing_ok=True)


def check_finished(folder: str | Path) -> None:
    """Refuse a folder in which a curation of an archive was begun and not finished.

    Raises:
        ValueError: it is one.
    """
    folder = Path(folder)
    begun = any((folder / name).exists() for name in (cache.UNFINISHED, cache.PARTS, TEXTS))
    if begun or ((folder / cache.PICTURES).exists() and not (folder / RECORDS).exists()):
        raise ValueError(
            f"{folder}: expected finished records, got what a curation left that was stopped or "
            "is still at work; run curate again with the same --root and --out"
        )


def seed_before(out: Path, dataset: str) -> int:
    """The seed that a finished folder of this set was made with, else 0."""
    try:
        before = json.loads((out / COUNTS).read_text(encoding="utf-8"))["made_from"]
        return int(before["seed"]) if before["dataset"] == dataset else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


class Tally:
    """Parts of records on their way, and what was counted of them."""

    def __init__(self, parts: Iterable[pd.DataFrame]):
        self.parts = parts
        self.splits: dict[str, dict[str, int]] = {}

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for part in self.parts:
            for split, own in part.groupby("split"):
                counts = self.splits.setdefault(str(split), dict.fromkeys(_COUNTED, 0))
                normal = int(own["is_normal"].sum())
                prompts = int(own["prompts"].map(len).sum())
                new = (len(own), normal, len(own) - normal, prompts)
                for name, count in zip(_COUNTED, new, strict=True):
                    counts[name] += count
            if len(part):
                yield part
