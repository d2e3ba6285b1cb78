"""CheXpert: several views a study; 500 studies (668 images) of the test part, read by people.

Tables as published: ``train.csv``, ``valid.csv`` or ``val_labels.csv``, ``test_labels.csv``; any of
them will do. Their paths begin with a folder that differs between downloads, so only the part from
``train/``, ``valid/`` or ``test/`` on counts.
"""

import re
from pathlib import Path

import pandas as pd

from offclip.data.tables import label_maps, mark, read_table

DATASET = "chexpert"
NO_FINDING = "No Finding"
CLASSES = (
    NO_FINDING, "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
_TABLES = {
    "train": ("train.csv",),
    "validation": ("valid.csv", "val_labels.csv"),
    "test": ("test_labels.csv",),
}
_FOLDERS = {"train": ("train",), "validation": ("valid", "val"), "test": ("test",)}
_PLACE = re.compile(
    r"(?:train|valid|val|test)/(patient\d+)/(study\d+)/(view\d+_(frontal|lateral)\.jpg)$"
)


def read_chexpert(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image with the labels of its study: 1, 0, null where uncertain, 0 where blank.

    Args:
        root: the folder with the tables and the folders of images.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows, ``study_id`` as patient/study; and counts: ``images``, ``studies``, ``lateral``,
        ``normal_images``, ``normal_studies`` over all parts that are there.

    Raises:
        FileNotFoundError: no table is there.
        ValueError: a table lacks a column or is damaged.
    """
    root, parts = Path(root), []
    for split, names in _TABLES.items():
        path = next((root / name for name in names if (root / name).is_file()), None)
        if path is not None:
            parts.append(_part(root, split, read_table(path, ("Path", *CLASSES))))
    if not parts:
        every = [name for names in _TABLES.values() for name in names]
        raise FileNotFoundError(f"{root}: expected one of {', '.join(every)}; found none")
    rows = pd.concat(parts, ignore_index=True)
    mark(rows, rows["image"].duplicated() & (rows["reason"] == ""), "repeated")
    kept = rows[rows["reason"] == ""]
    return rows, {
        "images": len(rows),
        "studies": kept["study_id"].nunique(),
        "lateral": int((kept["view"] == "LATERAL").sum()),
        "normal_images": int(kept["is_normal"].sum()),
        "normal_studies": kept.loc[kept["is_normal"], "study_id"].nunique(),
    }


def _part(root: Path, split: str, table: pd.DataFrame) -> pd.DataFrame:
    folder = next((name for name in _FOLDERS[split] if (root / name).is_dir()), _FOLDERS[split][0])
    found = [_PLACE.search(path.strip()) for path in table["Path"]]
    place = pd.DataFrame(
        [("", "", "", "") if each is None else each.groups() for each in found],
        columns=["patient", "study", "file", "view"],
        index=table.index,
    )
    exact = table["AP/PA"].str.strip() if "AP/PA" in table else pd.Series("", index=table.index)
    view = exact.where(exact.isin(["AP", "PA"]), place["view"].str.upper())
    labels = label_maps(table, CLASSES)
    image = folder + "/" + place["patient"] + "/" + place["study"] + "/" + place["file"]
    rows = pd.DataFrame(
        {
            "study_id": place["patient"] + "/" + place["study"],
            "patient_id": place["patient"],
            "split": split,
            "image": image.where(place["file"] != "", table["Path"]),
            "view": view.where(place["view"] != "lateral", "LATERAL"),
            "is_normal": [each[NO_FINDING] == 1 for each in labels],
            "labels": labels,
            "boxes": [[] for _ in labels],
            "reason": "",
        }
    )
    mark(rows, place["file"] == "", "malformed")
    return rows
