"""ChestX-Det10: images of ChestX-ray14 with boxes of ten findings by radiologists.

``train.json`` and ``test.json``: lists of ``file_name``, ``syms``, ``boxes`` (x1, y1, x2, y2).
Names are the set's own; it does not name patients.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from offclip.data.readers.rows import Box, box, finished, stem
from offclip.data.tables import find_parts, images_below, mark, read_text, train_or_validation

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
        seed: not used; every reader takes it.

    Returns:
        Rows; and counts, which are
        ``train_images``, ``test_images``, ``train_empty``, ``test_empty``,
        ``boxes`` and ``boxes_malformed`` (those of damaged entries).

    Raises:
        FileNotFoundError: no list is there.
        ValueError: a list is not JSON of that form; names the file and the entry.
    """
    lists = find_parts(root, {part: (f"{part}.json",) for part in ("train", "test")})
    places, ambiguous = images_below(root, (".png", ".jpg"))
    parts, counts, damaged = [], {}, 0
    for part, path in lists.items():
        entries = _entries(path)
        names = [each["file_name"].strip() for each in entries]
        boxes = [_boxes(each) for each in entries]
        stems = pd.Series([stem(name) for name in names], dtype=str)
        rows = pd.DataFrame(
            {
                "study_id": stems,
                "patient_id": stems,
                "split": train_or_validation(names, VALIDATION_SHARE) if part == "train" else part,
                "image": pd.Series([places.get(name, name) for name in names], dtype=str),
                "view": "",
                "is_normal": [each == [] for each in boxes],
                "labels": [{c: int(c in each["syms"]) for c in CLASSES} for each in entries],
                "boxes": [each or [] for each in boxes],
                "box_width": SIDE,
                "box_height": SIDE,
                "reason": "",
            }
        )
        mark(rows, [each is None for each in boxes], "malformed")
        mark(rows, [name in ambiguous for name in names], "ambiguous")
        counts[f"{part}_images"] = len(rows)
        counts[f"{part}_empty"] = int(rows["is_normal"].sum())
        damaged += sum(len(e["boxes"]) for e, b in zip(entries, boxes, strict=True) if b is None)
        parts.append(rows)
    rows = pd.concat(parts, ignore_index=True)
    counts |= {"boxes": int(rows["boxes"].map(len).sum()), "boxes_malformed": damaged}
    return finished(rows, counts, root)


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}); download it again") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: expected a list of entries, got another value or an empty one")
    fields = {"file_name": str, "syms": list, "boxes": list}
    for number, each in enumerate(entries):
        if not isinstance(each, dict) or not all(
            isinstance(each.get(name), of) for name, of in fields.items()
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


def _boxes(entry: dict[str, Any]) -> list[Box] | None:
    """Boxes of an entry; None where one is damaged, or names and boxes do not fit each other."""
    if len(entry["syms"]) != len(entry["boxes"]):
        return None
    pairs = zip(entry["syms"], entry["boxes"], strict=True)
    boxes = [box(label, corners, SIDE, SIDE) for label, corners in pairs]
    return None if None in boxes else [each for each in boxes if each]
