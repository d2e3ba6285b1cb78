"""CheXpert: several views a study; 500 studies (668 images) of the test part, read by people.

Tables as published: ``train.csv``, ``valid.csv`` or ``val_labels.csv``, ``test_labels.csv``; any of
them will do. Their paths begin with a folder that differs between downloads, so only the part from
``train/``, ``valid/`` or ``test/`` on counts.
"""

import re
from pathlib import Path

import pandas as pd

from offclip.data.readers.rows import finished, mark_differing_studies
from offclip.data.tables import find_file, label_maps, mark, read_table

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
    r"(?:[\w.-]+/)*(train|valid|val|test)/(patient\d+)/(study\d+)/(view\d+_(frontal|lateral)\.jpg)",
    re.ASCII,
)


def read_chexpert(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every image with the labels of its study: 1, 0, null where uncertain, 0 where blank.

    Views of one study have one label in the published tables; where they differ, all are left out.

    Args:
        root: the folder with the tables and the folders of images.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows, ``study_id`` as patient/study; and counts for each part that is there, as
        ``test_images``, ``test_studies``, ``test_lateral``, ``test_normal_images`` and
        ``test_normal_studies`` (of the rows kept, but for ``_images``).

    Raises:
        FileNotFoundError: no table is there.
        ValueError: a table lacks a column or is damaged.
    """
    root, parts = Path(root), []
    for split, names in _TABLES.items():
        try:
            path = find_file(root, *names)
        except FileNotFoundError:
            continue
        parts.append(_part(root, split, read_table(path, ("Path", *CLASSES), ("AP/PA",))))
    if not parts:
        every = [name for names in _TABLES.values() for name in names]
        raise FileNotFoundError(
            f"{root}: expected one of {', '.join(every)}; found none; give --root the folder that "
            "holds them"
        )
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
    found = [_PLACE.fullmatch(path) for path in table["Path"]]
    place = pd.DataFrame(
        [("", "", "", "", "") if each is None else each.groups() for each in found],
        columns=["folder", "patient", "study", "file", "view"],
        index=table.index,
        dtype=str,
    )
    good = place["folder"].isin(_FOLDERS[split])
    exact = table["AP/PA"] if "AP/PA" in table else pd.Series("", index=table.index)
    view = exact.where(exact.isin(["AP", "PA"]), place["view"].str.upper())
    labels, wrong = label_maps(table, CLASSES)
    image = folder + "/" + place["patient"] + "/" + place["study"] + "/" + place["file"]
    rows = pd.DataFrame(
        {
            "study_id": place["patient"] + "/" + place["study"],
            "patient_id": place["patient"],
            "split": split,
            "image": image.where(good, table["Path"]),
            "view": view.where(place["view"] != "lateral", "LATERAL"),
            "is_normal": [each[NO_FINDING] == 1 for each in labels],
            "labels": labels,
            "boxes": [[] for _ in labels],
            "reason": "",
        }
    )
    mark(rows, wrong | ~good, "malformed")
    mark_differing_studies(rows)
    return rows
