"""NIH ChestX-ray14 as published: 112,120 PNG files, 14 labels mined from reports, 984 boxes.

``Data_Entry_2017*.csv``, ``train_val_list.txt``, ``test_list.txt``, ``BBox_List_2017.csv``; images
in ``images_001/images`` … or ``images``, or anywhere else below the root if only once.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.nih import DATASET, NORMAL
from offclip.data.readers.rows import Box, boxes_by_image, finished, stem
from offclip.data.tables import (
    find_file,
    images_below,
    mark,
    numbers,
    read_table,
    read_text,
    train_or_validation,
)

SIDE = 1024
"""Pixels along a side of the published PNG files, which the boxes refer to."""
VALIDATION_SHARE = 8
"""One patient of train_val in so many is for validation: about 10 % of all. Ours."""
_PLACE = re.compile(r"(images_\d{3}/)?images/[^/]+")
_NEEDED = ("Image Index", "Finding Labels", "Patient ID", "View Position")
_CORNERS = ("Bbox [x", "y", "w", "h]")
"""The header ``Bbox [x,y,w,h]`` stretches over four columns."""


def read_chestxray14(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image of the table, split by the published lists.

    Args:
        root: the folder with the tables and lists.
        seed: not used; every reader takes it.

    Returns:
        Rows; and counts, which are
        ``images``, ``patients``, ``normal``, ``test``; ``boxes``, and apart from them
        ``boxes_without_image`` and ``boxes_malformed`` (an unknown label, no area, or not inside
        the image); ``only_in_lists``, names that the lists alone have.

    Raises:
        FileNotFoundError: the table or a list is missing.
        ValueError: a column is missing, or a table is damaged.
    """
    path = find_file(root, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
    table, manifest = read_table(path, _NEEDED), load_manifest(DATASET)
    name, patient = table["Image Index"], table["Patient ID"]
    test, train = (
        set(map(str.strip, read_text(find_file(root, f"{part}_list.txt")).splitlines())) - {""}
        for part in ("test", "train_val")
    )
    classes = (*manifest.prompts, NORMAL)
    named = [set(each.split("|")) for each in table["Finding Labels"]]
    places, ambiguous = images_below(root, (".png",), lambda each: bool(_PLACE.fullmatch(each)))
    boxes, malformed = _boxes(root, classes, manifest.other_names)
    rows = pd.DataFrame(
        {
            "study_id": [stem(each) for each in name],
            "patient_id": patient,
            "split": np.where(
                name.isin(test), "test", train_or_validation(list(patient), VALIDATION_SHARE)
            ),
            "image": [places.get(each, f"images/{each}") for each in name],
            "view": table["View Position"],
            "is_normal": [each == {NORMAL} for each in named],
            "labels": [{label: int(label in each) for label in classes} for each in named],
            "boxes": [boxes.get(each, []) for each in name],
            "box_width": SIDE,
            "box_height": SIDE,
            "reason": "",
        }
    )
    unknown = [each != {NORMAL} and not each <= {*manifest.prompts} for each in named]
    mark(rows, unknown, "malformed")
    mark(rows, ~name.str.fullmatch(r"[\w.-]+\.png") | ~patient.str.fullmatch("[0-9]+"), "malformed")
    mark(rows, name.isin(ambiguous), "ambiguous")
    mark(rows, name.isin(test & train), "in_two_lists")
    mark(rows, ~name.isin(test | train), "in_no_list")
    listed = set(name)
    with_image = sum(len(own) for image, own in boxes.items() if image in listed)
    counts = {
        "images": len(rows),
        "patients": rows["patient_id"].nunique(),
        "normal": int(rows["is_normal"].sum()),
        "test": int((rows["split"] == "test").sum()),
        "boxes": with_image,
        "boxes_without_image": sum(map(len, boxes.values())) - with_image,
        "boxes_malformed": malformed,
        "only_in_lists": len((test | train) - listed),
    }
    return finished(rows, counts, path)


def _boxes(
    root: str | Path, classes: Collection[str], other_names: Mapping[str, str]
) -> tuple[dict[str, list[Box]], int]:
    """Boxes by file name, and how many rows have none."""
    try:
        path = find_file(root, "BBox_List_2017.csv")
    except FileNotFoundError:
        return {}, 0
    table = read_table(path, ("Image Index", "Finding Label", *_CORNERS))
    corners = numbers(table, _CORNERS)
    corners[:, 2:] += corners[:, :2]
    labels = table["Finding Label"].replace(dict(other_names))
    return boxes_by_image(table["Image Index"], labels, corners, classes, SIDE)
