"""NIH ChestX-ray14 as published: 112,120 PNG files, 14 labels mined from reports, 984 boxes.

``Data_Entry_2017*.csv``, ``train_val_list.txt``, ``test_list.txt``, ``BBox_List_2017.csv``; images
in ``images_001/images`` … or anywhere else below the root.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.nih import DATASET, NORMAL
from offclip.data.tables import find_file, held_out, images_below, mark, read_table

SIDE = 1024
"""Pixels along a side of the published PNG files, which the boxes refer to."""
VALIDATION_SHARE = 8
"""One patient of train_val in so many is for validation: about 10 % of all. Ours."""


def read_chestxray14(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image of the table, split by the published lists.

    Args:
        root: the folder with the tables and lists.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows; and counts: ``images``, ``patients``, ``normal``, ``test``, ``boxes``,
        ``boxes_without_image``.

    Raises:
        FileNotFoundError: the table or a list is missing.
        ValueError: a column is missing, or a table is damaged.
    """
    needed = ("Image Index", "Finding Labels", "Patient ID", "View Position")
    table = read_table(find_file(root, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv"), needed)
    name = table["Image Index"].str.strip()
    lists = {part: _list(find_file(root, f"{part}_list.txt")) for part in ("train_val", "test")}
    held = held_out(list(table["Patient ID"]), VALIDATION_SHARE)
    split = np.where(name.isin(lists["test"]), "test", np.where(held, "validation", "train"))
    classes = load_manifest(DATASET).prompts
    named = [set(each.split("|")) for each in table["Finding Labels"].str.strip()]
    places = images_below(root, (".png",))
    boxes = _boxes(root)
    rows = pd.DataFrame(
        {
            "study_id": name.str.removesuffix(".png"),
            "patient_id": table["Patient ID"].str.strip(),
            "split": split,
            "image": [places.get(each, f"images/{each}") for each in name],
            "view": table["View Position"].str.strip(),
            "is_normal": [each == {NORMAL} for each in named],
            "labels": [{label: int(label in each) for label in classes} for each in named],
            "boxes": [boxes.get(each, []) for each in name],
            "box_width": SIDE,
            "box_height": SIDE,
            "reason": "",
        }
    )
    mark(rows, [each != {NORMAL} and not each <= set(classes) for each in named], "malformed")
    mark(rows, ~name.isin(lists["test"] | lists["train_val"]), "in_no_list")
    mark(rows, name.duplicated(), "repeated")
    kept = int(rows["boxes"].map(len).sum())
    return rows, {
        "images": len(rows),
        "patients": rows["patient_id"].nunique(),
        "normal": int(rows["is_normal"].sum()),
        "test": int((rows["split"] == "test").sum()),
        "boxes": kept,
        "boxes_without_image": sum(map(len, boxes.values())) - kept,
    }


def _list(path: Path) -> set[str]:
    return {line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()}


def _boxes(root: str | Path) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by file name. The header's ``Bbox [x,y,w,h]`` stretches over four columns."""
    try:
        path = find_file(root, "BBox_List_2017.csv")
    except FileNotFoundError:
        return {}
    table = read_table(path, ("Image Index", "Finding Label"))
    corners = table.iloc[:, 2:6].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    names = load_manifest(DATASET).other_names
    found: dict[str, list[dict[str, float | str]]] = {}
    for image, label, (x, y, width, height) in zip(
        table["Image Index"].str.strip(), table["Finding Label"].str.strip(), corners, strict=True
    ):
        if width > 0 and height > 0:
            box = {"x_min": x, "y_min": y, "x_max": x + width, "y_max": y + height}
            plain = {side: float(value) for side, value in box.items()}
            found.setdefault(image, []).append({"label": names.get(label, label), **plain})
    return found
