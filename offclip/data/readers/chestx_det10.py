"""ChestX-Det10: images of ChestX-ray14 with boxes of ten findings by radiologists.

``train.json`` and ``test.json``: lists of ``file_name``, ``syms``, ``boxes`` (x1, y1, x2, y2).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.tables import held_out, images_below, mark

DATASET = "chestx_det10"
CLASSES = (
    "Atelectasis", "Calcification", "Consolidation", "Effusion", "Emphysema", "Fibrosis",
    "Fracture", "Mass", "Nodule", "Pneumothorax",
)  # fmt: skip
VALIDATION_SHARE = 10
"""One training image in so many is for validation; the set has no validation part. Ours."""


def read_chestx_det10(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image of both lists. One without a box is taken as normal: none of the ten is in it.

    Args:
        root: the folder with the two lists; one of them is enough.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows; and counts: ``train_images``, ``test_images``, ``train_empty``, ``test_empty``,
        ``boxes``.

    Raises:
        FileNotFoundError: no list is there.
        ValueError: a list is not JSON of that form; names the file and the entry.
    """
    root, parts, counts = Path(root), [], {}
    places = images_below(root, (".png", ".jpg"))
    for part in ("train", "test"):
        if not (root / f"{part}.json").is_file():
            continue
        entries = _entries(root / f"{part}.json")
        names = [each["file_name"] for each in entries]
        found = [_boxes(each) for each in entries]
        held = held_out(names, VALIDATION_SHARE)
        rows = pd.DataFrame(
            {
                "study_id": [Path(name).stem for name in names],
                "patient_id": [Path(name).stem for name in names],
                "split": "test" if part == "test" else np.where(held, "validation", "train"),
                "image": [places.get(name, name) for name in names],
                "view": "",
                "is_normal": [each == [] for each in found],
                "labels": [{c: int(c in each["syms"]) for c in CLASSES} for each in entries],
                "boxes": [each or [] for each in found],
                "reason": "",
            }
        )
        mark(rows, [each is None for each in found], "malformed")
        mark(rows, rows["study_id"] == "", "malformed")
        counts[f"{part}_images"] = len(rows)
        counts[f"{part}_empty"] = int(rows["is_normal"].sum())
        parts.append(rows)
    if not parts:
        raise FileNotFoundError(f"{root}: expected train.json or test.json, found neither")
    rows = pd.concat(parts, ignore_index=True)
    mark(rows, rows["study_id"].duplicated(), "repeated")
    return rows, counts | {"boxes": int(rows["boxes"].map(len).sum())}


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); download it again") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list, got {type(entries).__name__}")
    for number, each in enumerate(entries):
        kinds = {"file_name": str, "syms": list, "boxes": list}
        if not isinstance(each, dict) or not all(
            isinstance(each.get(name), kind) for name, kind in kinds.items()
        ):
            raise ValueError(f"{path}: entry {number}: expected file_name, syms and boxes")
    return entries


def _boxes(entry: dict[str, Any]) -> list[dict[str, float | str]] | None:
    """Boxes of an entry; None where names and boxes do not belong together."""
    if len(entry["syms"]) != len(entry["boxes"]) or not set(entry["syms"]) <= set(CLASSES):
        return None
    found: list[dict[str, float | str]] = []
    for label, corners in zip(entry["syms"], entry["boxes"], strict=True):
        try:
            x1, y1, x2, y2 = (float(each) for each in corners)
        except (TypeError, ValueError):
            return None
        if not (np.isfinite([x1, y1, x2, y2]).all() and x2 > x1 and y2 > y1):
            return None
        found.append({"label": label, "x_min": x1, "y_min": y1, "x_max": x2, "y_max": y2})
    return found
