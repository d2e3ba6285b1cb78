"""MIMIC-CXR-JPG 2.1.0 with the reports of MIMIC-CXR: one frontal image and one report per study.

Never fetched: PhysioNet gives it to those who signed for it. The layout is that of the published
folders; nothing here has been run on the real files.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from offclip.data.readers.chexpert import CLASSES, NO_FINDING
from offclip.data.readers.rows import finished
from offclip.data.tables import find_file, label_maps, mark, read_table

DATASET = "mimic_cxr"
FRONTAL = ("PA", "AP")
FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("p10", "p11", "p12", "p13", "p14", "p15", "p16"),
    "validation": ("p17",),
    "test": ("p18", "p19"),
}
"""Folders of patients by split. OFF-CLIP trains on p10 to p16 and does not say what it does with
the rest; to validate on p17 and to test on p18 and p19 is ours."""
SPLIT_OF = {folder: split for split, folders in FOLDERS.items() for folder in folders}
_FORMS = {"dicom_id": "[0-9a-f-]+", "subject_id": "1[0-9]{7}", "study_id": "[0-9]{8}"}
_METADATA, _CHEXPERT = "mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-chexpert.csv"


def read_mimic(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """A row for each study that has a frontal image, with its report's path and its labels.

    Of several frontal images one is chosen, by the seed and the image's name alone. Labels are
    CheXpert's: 1, 0, null where it is uncertain, and 0 where it says nothing. They are side
    information, so a study without any is kept, with an empty map.

    Args:
        root: the folder that holds ``files/`` and the two tables, gzipped or not.
        seed: of the choice among several images.

    Returns:
        Rows with ``report``; and counts, which are
        ``images`` = ``frontal_drawn`` + ``frontal_not_drawn`` +
        ``not_frontal`` + ``view_unknown``; ``studies`` = rows + ``without_frontal``;
        ``unlabelled`` of the rows; ``labels_without_image``, studies that only the labels name.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a column is missing, an image or a study's labels occur twice, a study belongs
            to two patients, or a number, of which paths are made, is none; names file and value.
    """
    root = Path(root)
    path = find_file(root, _METADATA)
    images = _images(path)
    view = images["ViewPosition"].str.upper()
    frontal = view.isin(FRONTAL)
    chosen = images[frontal].assign(view=view[frontal])
    chosen["order"] = [zlib.crc32(f"{seed} {name}".encode()) for name in chosen["dicom_id"]]
    chosen = chosen.sort_values(["study_id", "order", "dicom_id"]).drop_duplicates("study_id")
    labels, wrong = _labels(root)
    own = labels.reindex(chosen["study_id"])
    folder = "p" + chosen["subject_id"].str[:2]
    place = "files/" + folder + "/p" + chosen["subject_id"] + "/s" + chosen["study_id"]
    rows = pd.DataFrame(
        {
            "study_id": chosen["study_id"],
            "patient_id": chosen["subject_id"],
            "split": folder.map(SPLIT_OF),
            "image": place + "/" + chosen["dicom_id"] + ".jpg",
            "report": place + ".txt",
            "view": chosen["view"],
            "labels": [each if isinstance(each, dict) else {} for each in own],
            "boxes": [[] for _ in range(len(chosen))],
            "reason": "",
        }
    ).reset_index(drop=True)
    mark(rows, rows["study_id"].isin(wrong), "malformed")
    studies = images["study_id"].nunique()
    counts = {
        "images": len(images),
        "frontal_drawn": len(rows),
        "frontal_not_drawn": int(frontal.sum()) - len(rows),
        "not_frontal": int((~frontal & (view != "")).sum()),
        "view_unknown": int((view == "").sum()),
        "studies": studies,
        "without_frontal": studies - len(rows),
        "unlabelled": int(own.isna().sum()),
        "labels_without_image": int((~labels.index.isin(images["study_id"])).sum()),
    }
    return finished(rows, counts, path)


def _images(path: Path) -> pd.DataFrame:
    images = read_table(path, (*_FORMS, "ViewPosition"))
    for name, form in _FORMS.items():
        wrong = images[name][~images[name].str.fullmatch(form)]
        if len(wrong):
            raise ValueError(
                f"{path}: {name}: expected {form}, got {wrong.iloc[0][:80]!r}; repair the table"
            )
    repeated = images["dicom_id"][images["dicom_id"].duplicated()]
    if len(repeated):
        raise ValueError(f"{path}: dicom_id: {repeated.iloc[0]!r} occurs twice; repair the table")
    patients = images.groupby("study_id")["subject_id"].nunique()
    if (patients > 1).any():
        raise ValueError(
            f"{path}: study_id: {patients.idxmax()!r} belongs to two patients; repair the table"
        )
    return images


def _labels(root: Path) -> tuple[pd.Series, list[str]]:
    """CheXpert's labels by study, and the studies whose labels are none."""
    path = find_file(root, _CHEXPERT)
    table = read_table(path, ("study_id", NO_FINDING), CLASSES).drop_duplicates()
    repeated = table["study_id"][table["study_id"].duplicated()]
    if len(repeated):
        raise ValueError(
            f"{path}: study_id: {repeated.iloc[0][:80]!r} has labels twice, and they differ; "
            "repair the table"
        )
    maps, wrong = label_maps(table, [name for name in table if name != "study_id"])
    found = pd.Series(maps, index=table["study_id"], dtype=object)
    return found, table["study_id"][wrong].tolist()
