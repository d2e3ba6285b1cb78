"""VinDr-CXR 1.0.0: DICOM images, 28 labels, boxes of 22 of them; test read by five together.

``train|test/<image_id>.dicom`` and ``annotations/image_labels_*.csv``, ``annotations_*.csv``. Three
radiologists read each training image on their own, so a rule makes one label of three.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.tables import find_file, held_out, mark, read_table

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
VALIDATION_SHARE = 10
"""One training image in so many is for validation; the set has no validation part. Ours."""
_SPELLINGS = {"Other disease": "Other diseases"}
_CORNERS = ["x_min", "y_min", "x_max", "y_max"]


def read_vindr(
    root: str | Path, *, seed: int = 0, rule: str = "majority"
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image with its 28 labels; all 3,000 of test, also those of rare classes only.

    Args:
        root: the folder with ``annotations``; one of train and test is enough.
        seed: nothing is drawn; every reader takes it.
        rule: of the training labels: "any", "majority" or "all" of an image's readers.

    Returns:
        Rows; and counts: ``train_images``, ``test_images``, ``train_normal``, ``test_normal``,
        ``readings`` of train, ``boxes``, ``boxes_without_label`` (no label by the rule).

    Raises:
        FileNotFoundError: neither part has its table of labels, or boxes are missing for one.
        ValueError: an unknown rule; a column is missing; a table is damaged.
    """
    if rule not in RULES:
        raise ValueError(f"rule: expected one of {', '.join(RULES)}; got {rule!r}")
    root, parts, counts = Path(root), [], {"boxes": 0, "boxes_without_label": 0}
    notes = root / "annotations"
    for part in ("train", "test"):
        names = [f"image_labels_{part}.csv", f"annotations_{part}.csv"]
        if not any((notes / f"{names[0]}{end}").is_file() for end in ("", ".gz")):
            continue
        readings = _readings(find_file(notes, names[0]), part)
        rows = _consensus(readings, RULES[rule] if part == "train" else 1)
        own = _boxes(read_table(find_file(notes, names[1]), ("image_id", "class_name", *_CORNERS)))
        rows["boxes"] = [
            [box for box in own.get(image, ()) if labels.get(box["label"]) == 1]
            for image, labels in zip(rows["study_id"], rows["labels"], strict=True)
        ]
        kept = int(rows["boxes"].map(len).sum())
        counts["boxes"] += kept
        counts["boxes_without_label"] += sum(map(len, own.values())) - kept
        counts[f"{part}_images"] = len(rows)
        counts[f"{part}_normal"] = int(rows["is_normal"].sum())
        if part == "train":
            counts["readings"] = len(readings)
            held = held_out(list(rows["study_id"]), VALIDATION_SHARE)
            rows["split"] = np.where(held, "validation", "train")
        else:
            rows["split"] = "test"
        rows["image"] = f"{part}/" + rows["study_id"] + ".dicom"
        parts.append(rows)
    if not parts:
        raise FileNotFoundError(
            f"{notes}: expected image_labels_test.csv or image_labels_train.csv, found neither; "
            "give --root the folder that holds annotations/"
        )
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(patient_id=rows["study_id"], view="", reason="")
    mark(rows, ~rows["study_id"].str.fullmatch("[0-9a-fA-F]+"), "malformed")
    mark(rows, rows["study_id"].duplicated(), "repeated")
    return rows, counts


def _readings(path: Path, part: str) -> pd.DataFrame:
    """A table with one row a reader and image; labels 0 or 1, spelled in one way."""
    needed = ("image_id", "rad_id") if part == "train" else ("image_id",)
    table = read_table(path, needed).rename(columns=_SPELLINGS)
    missing = [name for name in (*LOCAL, *GLOBAL) if name not in table]
    if missing:
        raise ValueError(f"{path}: expected 28 labels, got no column for {missing}")
    values = table[[*LOCAL, *GLOBAL]].apply(pd.to_numeric, errors="coerce")
    wrong = ~values.isin([0, 1]).all(axis=1)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{path}, line {line + 2}: expected labels 0 or 1; repair the table")
    return values.astype(int).assign(image_id=table["image_id"].str.strip())


def _consensus(readings: pd.DataFrame, least: int) -> pd.DataFrame:
    """One row an image. Normal: so many readers say it; without any other label, it is as well.

    An image whose readers agree on nothing has no label and is not normal.
    """
    votes = readings.groupby("image_id", sort=False)[[*LOCAL, *GLOBAL]].sum()
    labels = [
        dict(zip(votes.columns, row, strict=True)) for row in (votes >= least).astype(int).values
    ]
    return pd.DataFrame(
        {
            "study_id": votes.index,
            "labels": [{name: int(value) for name, value in each.items()} for each in labels],
            "is_normal": [bool(each[NO_FINDING]) for each in labels],
        }
    )


def _boxes(table: pd.DataFrame) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by image; rows without corners are labels of a whole image and have none."""
    corners = table[_CORNERS].apply(pd.to_numeric, errors="coerce").astype(float)
    whole = corners.notna().all(axis=1)
    found: dict[str, list[dict[str, float | str]]] = {}
    names = table["class_name"].str.strip().replace(_SPELLINGS)
    for image, name, box in zip(
        table["image_id"][whole].str.strip(),
        names[whole],
        corners[whole].to_dict("records"),
        strict=True,
    ):
        if box["x_max"] > box["x_min"] and box["y_max"] > box["y_min"]:
            found.setdefault(image, []).append({"label": name, **box})
    return found
