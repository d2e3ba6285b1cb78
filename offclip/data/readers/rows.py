"""What readers share: boxes, and the end of every reader: rows that cannot be kept are marked, and
all are counted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

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
_CONTENT = ("study_id", "patient_id", "split", "view", "is_normal", "labels")

Box = dict[str, float | str]


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
    mark_conflicts(rows, "image", [name for name in _CONTENT if name in rows])
    mark(rows, rows["image"].where(rows["reason"] == "").duplicated(), "repeated")
    _mark_two_splits(rows)
    reasons = Counter(rows["reason"][rows["reason"] != ""])
    return rows, {**counts, "listed": len(rows), **reasons}


def mark_conflicts(rows: pd.DataFrame, key: str, columns: Sequence[str]) -> None:
    """Mark all rows of one ``key``, an image or a study, if their values in ``columns`` differ."""
    good = rows["reason"] == ""
    several = rows[good & rows[key].where(good).duplicated(keep=False)]
    if several.empty:
        return
    content = several[list(columns)].astype(str).agg("|".join, axis=1)
    differ = content.groupby(several[key]).transform("nunique") > 1
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
    label: str, corners: Any, width: float | int = np.inf, height: float | int = np.inf
) -> Box | None:
    """A box with four finite corners, an area, and inside an image of that size; else None."""
    try:
        x_min, y_min, x_max, y_max = (float(each) for each in corners)
    except (TypeError, ValueError):
        return None
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        return None
    return {"label": label, "x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}


def boxes_by_image(
    images: Iterable[str],
    labels: Iterable[str],
    corners: Float[np.ndarray, "row 4"],
    known: Collection[str],
    side: float | int = np.inf,
) -> tuple[dict[str, list[Box]], int]:
    """Boxes of each image, and how many rows have none, or a label that is not known.

    Args:
        images, labels, corners: of each row; corners as x_min, y_min, x_max, y_max.
        known: labels.
        side: pixels along a side of the images.
    """
    boxes: dict[str, list[Box]] = {}
    malformed = 0
    for image, label, values in zip(images, labels, corners, strict=True):
        made = box(label, values, side, side) if label in known else None
        if made is None:
            malformed += 1
        else:
            boxes.setdefault(image, []).append(made)
    return boxes, malformed


def _mark_two_splits(rows: pd.DataFrame) -> None:
    """A patient in several splits stays in the last of them: what tests is never trained on."""
    order = rows["split"].map({name: place for place, name in enumerate(SPLITS)})
    last = order.where(rows["reason"] == "").groupby(rows["patient_id"]).transform("max")
    mark(rows, order < last, "two_splits")
