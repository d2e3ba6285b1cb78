"""ChestX-Det10: images of ChestX-ray14 with boxes of ten findings by radiologists.

``train.json`` and ``test.json``: lists of ``file_name``, ``syms``, ``boxes`` (x1, y1, x2, y2).
Names are the set's own; it does not name patients.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.readers.rows import box, finished, stem
from offclip.data.tables import held_out, images_below, mark, read_text

DATASET = "chestx_det10"
CLASSES = (
    "Atelectasis", "Calcification", "Consolidation", "Effusion", "Emphysema", "Fibrosis",
    "Fracture", "Mass", "Nodule", "Pneumothorax",
)  # fmt: skip
SIDE = 1024
"""Pixels along a side of the images, which the boxes refer to; unverified."""
VALIDATION_SHARE = 10
"""One training image in so many is for validation; the set has no validation part. Ours."""


def read_chestx_det10(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image of both lists. One without a box is taken as normal: none of the ten is in it.

    An entry with a damaged box is left out as a whole: what it lacks could pass for normal.

    Args:
        root: the folder with the two lists; one of them is enough.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows; and counts, which are
        ``train_images``, ``test_images``, ``train_empty``, ``test_empty``,
        ``boxes`` and ``boxes_malformed`` (those of damaged entries).

    Raises:
        FileNotFoundError: no list is there.
        ValueError: a list is not JSON of that form; names the file and the entry.
    """
    root, parts, counts, damaged = Path(root), [], {}, 0
    places, ambiguous = images_below(root, (".png", ".jpg"))
    for part in ("train", "test"):
        if not (root / f"{part}.json").is_file():
            continue
        entries = _entries(root / f"{part}.json")
        names = [each["file_name"].strip() for each in entries]
        found = [_boxes(each) for each in entries]
        held = held_out(names, VALIDATION_SHARE)
        rows = pd.DataFrame(
            {
                "study_id": pd.Series([stem(name) for name in names], dtype=str),
                "patient_id": pd.Series([stem(name) for name in names], dtype=str),
                "split": "test" if part == "test" else np.where(held, "validation", "train"),
                "image": pd.Series([places.get(name, name) for name in names], dtype=str),
                "view": "",
                "is_normal": [each == [] for each in found],
                "labels": [{c: int(c in each["syms"]) for c in CLASSES} for each in entries],
                "boxes": [each or [] for each in found],
                "box_width": SIDE,
                "box_height": SIDE,
                "reason": "",
            }
        )
        mark(rows, [each is None for each in found], "malformed")
        mark(rows, [name in ambiguous for name in names], "ambiguous")
        counts[f"{part}_images"] = len(rows)
        counts[f"{part}_empty"] = int(rows["is_normal"].sum())
        damaged += sum(
            len(e["boxes"]) for e, own in zip(entries, found, strict=True) if own is None
        )
        parts.append(rows)
    if not parts:
        raise FileNotFoundError(
            f"{root}: expected train.json or test.json, found neither; give --root the folder that "
            "holds them"
        )
    rows = pd.concat(parts, ignore_index=True)
    counts |= {"boxes": int(rows["boxes"].map(len).sum()), "boxes_malformed": damaged}
    return finished(rows, counts, root)


def _entries(path: Path) -> list[dict[str, Any]]:
    text = read_text(path)
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); download it again") from error
    if not isinstance(entries, list) or not entries:
        kind = type(entries).__name__
        raise ValueError(f"{path}: expected a list of entries, got a {kind} or an empty one")
    for number, each in enumerate(entries):
        kinds = {"file_name": str, "syms": list, "boxes": list}
        if not isinstance(each, dict) or not all(
            isinstance(each.get(name), kind) for name, kind in kinds.items()
        ):
            raise ValueError(
                f"{path}: entry {number}: expected file_name, syms and boxes; download it again"
            )
        unknown = [name for name in each["syms"] if name not in CLASSES]
        if unknown:
            raise ValueError(
                f"{path}: entry {number}: expected syms among the ten of ChestX-Det10, got "
                f"{str(unknown[0])[:80]!r}; is it the list of another set?"
            )
    return entries


def _boxes(entry: dict[str, Any]) -> list[dict[str, float | str]] | None:
    """Boxes of an entry; None where names and boxes do not belong together."""
    if len(entry["syms"]) != len(entry["boxes"]):
        return None
    found: list[dict[str, float | str]] = []
    for label, corners in zip(entry["syms"], entry["boxes"], strict=True):
        try:
            x1, y1, x2, y2 = (float(each) for each in corners)
        except (TypeError, ValueError, OverflowError):
            return None
        made = box(label, (x1, y1, x2, y2), SIDE, SIDE)
        if made is None:
            return None
        found.append(made)
    return found
