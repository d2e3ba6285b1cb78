"""VinDr-CXR 1.0.0: DICOM images, 28 labels, boxes of 22 of them; test read by five together.

``train|test/<image_id>.dicom`` and ``annotations/image_labels_*.csv``, ``annotations_*.csv``. Three
radiologists read each training image on their own, so a rule makes one label of three.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers.rows import Box, boxes_by_image, finished
from offclip.data.tables import (
    find_file,
    find_parts,
    is_blank,
    mark,
    numbers,
    read_table,
    train_or_validation,
)

DATASET = "vindr_cxr"
NO_FINDING = "No finding"
LOCAL = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture",
    "Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity",
    "Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass", "Pleural effusion",
    "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion",
)  # fmt: skip
GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", NO_FINDING)
RULES = {"any": 1, "majority": 2, "all": 3}
"""How many of three readers make a label."""
READERS_OF = {"train": 3, "test": 1}
"""Rows per image in the table of labels."""
VALIDATION_SHARE = 10
"""One training image in so many is for validation; the set has no validation part. Ours."""
_LABELS = [*LOCAL, *GLOBAL]
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_KAGGLE = ("train.csv", "train.csv.gz")


def read_vindr(
    root: str | Path, *, seed: int = 0, rule: str = "majority"
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image with its 28 labels; all 3,000 of test, also those of rare classes only.

    A training image has a label when one reader ("any"), two ("majority") or all three ("all") of
    its readers give it; it is normal when so many say "No finding" and no other label passes. So by
    "any" an image on which readers differ is not normal, and by "majority" and "all" it can be left
    with no label at all and without being normal. A training image keeps the boxes of
    every reader whose label passed the rule, so one lesion may have three; who drew a box is not
    kept.

    Args:
        root: the folder with ``annotations``; one of train and test is enough.
        seed: not used; every reader takes it.
        rule: of the training labels.

    Returns:
        Rows; and counts, which are
        ``train_images``, ``test_images``, ``train_normal``, ``test_normal``,
        ``patients`` (the set names none: images), ``train_readings`` and ``test_readings``; rows
        of the tables of boxes = ``boxes`` + ``boxes_without_label`` (no label by the rule) +
        ``without_box`` (labels of a whole image) + ``boxes_without_image`` + ``boxes_malformed``.

    Raises:
        FileNotFoundError: neither part has its table of labels, or boxes are missing for one.
        ValueError: an unknown rule; a column is missing; a table is damaged; or it is the copy of a
            competition on Kaggle, which has 15 classes.
    """
    if rule not in RULES:
        raise ValueError(f"rule: expected one of {', '.join(RULES)}; got {rule!r}")
    parts: list[pd.DataFrame] = []
    counts: Counter[str] = Counter()
    for part, path in _tables(Path(root)).items():
        rows, own = _part(path, part, RULES[rule])
        counts.update(own)
        parts.append(rows)
    rows = pd.concat(parts, ignore_index=True).assign(view="")
    rows["patient_id"] = rows["study_id"]
    mark(rows, ~rows["study_id"].str.fullmatch("[0-9a-fA-F]+"), "malformed")
    return finished(rows, counts | {"patients": rows["patient_id"].nunique()}, root)


def _tables(root: Path) -> dict[str, Path]:
    try:
        return find_parts(
            root / "annotations", {part: (f"image_labels_{part}.csv",) for part in READERS_OF}
        )
    except FileNotFoundError as error:
        if not any((root / name).is_file() for name in _KAGGLE):
            raise
        raise FileNotFoundError(
            f"{error}; its {_KAGGLE[0]} is of the copy on Kaggle, another set with 15 classes and "
            "no labels of the test images: get the one of PhysioNet"
        ) from error


def _part(path: Path, part: str, least: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows of train or test, and what was counted."""
    readings = _readings(path, part)
    rows = _consensus(readings, least if part == "train" else 1, READERS_OF[part])
    boxes, counts = _boxes(find_file(path.parent, f"annotations_{part}.csv"))
    total = sum(map(len, boxes.values()))
    rows["boxes"] = [
        [each for each in boxes.pop(image, ()) if labels.get(str(each["label"])) == 1]
        for image, labels in zip(rows["study_id"], rows["labels"], strict=True)
    ]
    kept, elsewhere = int(rows["boxes"].map(len).sum()), sum(map(len, boxes.values()))
    ids = list(rows["study_id"])
    rows["split"] = train_or_validation(ids, VALIDATION_SHARE) if part == "train" else "test"
    rows["image"] = f"{part}/" + rows["study_id"] + ".dicom"
    counts |= {
        f"{part}_images": len(rows),
        f"{part}_normal": int(rows["is_normal"].sum()),
        f"{part}_readings": len(readings),
        "boxes": kept,
        "boxes_without_image": elsewhere,
        "boxes_without_label": total - kept - elsewhere,
    }
    return rows, counts


def _readings(path: Path, part: str) -> pd.DataFrame:
    """A row for each reader and image; labels 0 or 1, spelled in one way.

    The same reading twice counts once.
    """
    spellings = load_manifest(DATASET).other_names
    ids = ("image_id", "rad_id") if part == "train" else ("image_id",)
    table = read_table(path, ids, (*_LABELS, *spellings)).rename(columns=spellings)
    missing = [name for name in _LABELS if name not in table]
    if missing or table.columns.duplicated().any():
        raise ValueError(
            f"{path}: expected 28 labels, each in one column; missing: {missing or 'none'}; is it "
            "the table of PhysioNet's copy?"
        )
    values = numbers(table, _LABELS)
    wrong = np.flatnonzero(~np.isin(values, (0, 1)).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{path}: expected labels 0 or 1, got others for {table['image_id'][wrong[0]][:80]!r}; "
            "repair the table"
        )
    table[_LABELS] = values.astype(int)
    return table.drop_duplicates()


def _consensus(readings: pd.DataFrame, least: int, readers: int) -> pd.DataFrame:
    """A row for each image; it is marked if it has not the published number of readers."""
    grouped = readings.groupby("image_id", sort=False)
    passed = (grouped[_LABELS].sum() >= least).astype(int)
    rows = pd.DataFrame(
        {
            "study_id": passed.index.astype(str),
            "labels": [dict(zip(_LABELS, row, strict=True)) for row in passed.values.tolist()],
            "is_normal": (passed[NO_FINDING].eq(1) & passed.sum(axis=1).eq(1)).to_numpy(),
            "reason": "",
        }
    )
    differ = grouped.size().to_numpy() != readers
    several = grouped["rad_id"].nunique().to_numpy() != readers if "rad_id" in readings else differ
    mark(rows, differ | several, "readers")
    return rows


def _boxes(path: Path) -> tuple[dict[str, list[Box]], dict[str, int]]:
    """Boxes by image; rows without corners are labels of a whole image and have none."""
    table = read_table(path, ("image_id", "class_name", *_CORNERS))
    blank = is_blank(table[list(_CORNERS)]).all(axis=1)
    table = table[~blank]
    labels = table["class_name"].replace(dict(load_manifest(DATASET).other_names))
    boxes, malformed = boxes_by_image(
        table["image_id"], labels, numbers(table, _CORNERS), known=LOCAL
    )
    return boxes, {"without_box": int(blank.sum()), "boxes_malformed": malformed}
