"""CheXpert: several views per study; 500 studies (668 images) of the test part, read by people.

Tables as published: ``train.csv``, ``valid.csv`` or ``val_labels.csv``, ``test_labels.csv``; any of
them will do. Their paths begin with a folder that differs between downloads, so only the part from
``train/``, ``valid/`` or ``test/`` on counts.
"""

from pathlib import Path

import pandas as pd

from offclip.data.readers.rows import finished, mark_conflicts
from offclip.data.tables import find_parts, label_maps, mark, read_table

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
_PLACE = (
    r"(?a)^(?:[\w.-]+/)*(?P<folder>train|valid|val|test)/(?P<patient>patient\d+)/(?P<study>study\d+)"
    r"/(?P<file>view\d+_(?P<view>frontal|lateral)\.jpg)$"
)


def read_chexpert(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image with the labels of its study: 1, 0, null where uncertain, 0 where blank.

    Views of one study have one label in the published tables; where they differ, all are left out.

    Args:
        root: the folder with the tables and the folders of images.
        seed: not used; every reader takes it.

    Returns:
        Rows, ``study_id`` as patient/study; and counts for each part that is there, as
        ``test_images``, ``test_studies``, ``test_lateral``, ``test_normal_images`` and
        ``test_normal_studies`` (of the rows kept, but for ``_images``).

    Raises:
        FileNotFoundError: no table is there.
        ValueError: a table lacks a column or is damaged.
    """
    parts = [
        _part(Path(root), split, read_table(path, ("Path", *CLASSES), ("AP/PA",)))
        for split, path in find_parts(root, _TABLES).items()
    ]
    rows, reasons = finished(pd.concat(parts, ignore_index=True), {}, root)
    counts: dict[str, int] = {}
    for split, part in rows.groupby("split", sort=False):
        kept = part[part["reason"] == ""]
        normal = kept[kept["is_normal"]]
        counts |= {
            f"{split}_images": len(part),
            f"{split}_studies": kept["study_id"].nunique(),
            f"{split}_lateral": int((kept["view"] == "LATERAL").sum()),
            f"{split}_normal_images": len(normal),
            f"{split}_normal_studies": normal["study_id"].nunique(),
        }
    return rows, counts | reasons


def _part(root: Path, split: str, table: pd.DataFrame) -> pd.DataFrame:
    folder = next((name for name in _FOLDERS[split] if (root / name).is_dir()), _FOLDERS[split][0])
    place = table["Path"].str.extract(_PLACE).fillna("")
    study = place["patient"] + "/" + place["study"]
    good = place["folder"].isin(_FOLDERS[split])
    view = place["view"].str.upper()
    if "AP/PA" in table:
        exact = table["AP/PA"].isin(["AP", "PA"]) & (view != "LATERAL")
        view = table["AP/PA"].where(exact, view)
    labels, wrong = label_maps(table, CLASSES)
    rows = pd.DataFrame(
        {
            "study_id": study,
            "patient_id": place["patient"],
            "split": split,
            "image": (folder + "/" + study + "/" + place["file"]).where(good, table["Path"]),
            "view": view,
            "is_normal": [each[NO_FINDING] == 1 for each in labels],
            "labels": labels,
            "boxes": [[] for _ in labels],
            "reason": "",
        }
    )
    mark(rows, wrong | ~good, "malformed")
    mark_conflicts(rows, "study_id", ["labels", "patient_id"])
    return rows
