"""What every reader ends with: rows that cannot be kept are marked, and all are counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from offclip.data.splits import SPLITS
from offclip.data.tables import BLANK, mark

REASONS = (
    "outside", "malformed", "repeated", "conflicting", "two_splits", "no_label", "known_bad",
    "in_no_list", "in_two_lists", "readers", "ambiguous",
)  # fmt: skip
"""Why a row is left out: its path leads out of the root; an id, a label or a list is none; the
same row is there before; rows of one image, or labels of one study, contradict each other; its
patient is in another split; it has no label; users know the file to be damaged; it is in none, or
in both, of the published lists; it has not the published number of readers; files of its name
differ, and nothing tells which of them is the set's."""
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
_NO_PATH = rf"{_CONTROL}|[\\:]|^/|//|/$|(?:^|/)\s*\.{{0,2}}\s*(?:/|$)"
_CONTENT = ["study_id", "patient_id", "split", "view", "is_normal", "labels"]


def finished(
    rows: pd.DataFrame, counts: Mapping[str, int], where: str | Path
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Mark what no set may have, and count the reasons; they and the rows kept sum to ``listed``.

    Args:
        rows: of a reader, with its own reasons.
        counts: of the reader.
        where: the root or table, for the message.

    Raises:
        ValueError: no row at all.
    """
    if rows.empty:
        raise ValueError(f"{where}: expected rows of images, got none; is the table whole?")
    rows = rows.reset_index(drop=True)
    rows = rows.astype(dict.fromkeys(("image", "study_id", "patient_id"), str))
    rows.loc[leads_out(rows["image"]), "reason"] = "outside"
    for name in ("study_id", "patient_id"):
        mark(rows, no_names(rows[name]), "malformed")
    _mark_repeats(rows)
    _mark_two_splits(rows)
    reasons = Counter(rows["reason"][rows["reason"] != ""])
    return rows, {**counts, "listed": len(rows), **reasons}


def mark_differing_studies(rows: pd.DataFrame) -> None:
    """Where labels belong to a study, its images may not differ, nor belong to two patients."""
    good = rows["reason"] == ""
    several = good & rows["study_id"].where(good).duplicated(keep=False)
    if not several.any():
        return
    said = rows.loc[several, "labels"].astype(str) + rows.loc[several, "patient_id"]
    differ = said.groupby(rows["study_id"][several]).transform("nunique") > 1
    mark(rows, differ.reindex(rows.index, fill_value=False), "conflicting")


def leads_out(paths: pd.Series) -> pd.Series:
    """Which of these are no plain paths below a root: absolute, upwards, or with odd characters."""
    return (paths == "") | paths.str.contains(_NO_PATH)


def no_names(values: pd.Series) -> pd.Series:
    """Which of these cannot name a study or a patient: blanks, or with control characters."""
    return values.str.lower().isin(BLANK) | values.str.contains(_CONTROL)


def stem(name: str) -> str:
    """A file's name without its suffix, whatever stands there."""
    return PurePosixPath(name).stem


def box(
    label: str,
    corners: Iterable[float | int],
    width: float | int = np.inf,
    height: float | int = np.inf,
) -> dict[str, float | str] | None:
    """A box with finite corners, an area, and inside a picture of that size; else None."""
    x_min, y_min, x_max, y_max = (float(each) for each in corners)
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        return None
    return {"label": label, "x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}


def _mark_repeats(rows: pd.DataFrame) -> None:
    """Of rows of one image that say the same, the first stays; if they differ, none does."""
    good = rows["reason"] == ""
    several = good & rows["image"].where(good).duplicated(keep=False)
    if not several.any():
        return
    columns = [name for name in _CONTENT if name in rows]
    said = rows.loc[several, columns].astype(str).agg("|".join, axis=1)
    differ = said.groupby(rows["image"][several]).transform("nunique") > 1
    mark(rows, differ.reindex(rows.index, fill_value=False), "conflicting")
    mark(rows, rows["image"].where(rows["reason"] == "").duplicated(), "repeated")


def _mark_two_splits(rows: pd.DataFrame) -> None:
    """A patient in several splits stays in the last of them: what tests is never trained on."""
    order = rows["split"].map({name: place for place, name in enumerate(SPLITS)})
    last = order.where(rows["reason"] == "").groupby(rows["patient_id"]).transform("max")
    mark(rows, order < last, "two_splits")
