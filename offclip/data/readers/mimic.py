"""MIMIC-CXR-JPG 2.1.0 with the reports of MIMIC-CXR: one frontal image and one report a study.

Never fetched: PhysioNet gives it to those who signed for it. The layout is that of the published
folders; nothing here has been run on the real files.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from offclip.data.tables import find_file, label_maps, read_table

DATASET = "mimic_cxr"
FRONTAL = ("PA", "AP")
NO_FINDING = "No Finding"
FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("p10", "p11", "p12", "p13", "p14", "p15", "p16"),
    "validation": ("p17",),
    "test": ("p18", "p19"),
}
"""Folders of patients by split. OFF-CLIP trains on p10 to p16 and does not say what it does with
the rest; to validate on p17 and to test on p18 and p19 is ours."""
_FORMS = {"dicom_id": "[0-9a-f-]+", "subject_id": "1[0-9]{7}", "study_id": "[0-9]{8}"}
_METADATA, _CHEXPERT = "mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-chexpert.csv"


def read_mimic(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """A row for each study that has a frontal image, with its report's path and its labels.

    Of several frontal images one is drawn, by the seed and the study's number alone. Labels are
    CheXpert's: 1, 0, null where it is uncertain, and 0 where it says nothing.

    Args:
        root: the folder that holds ``files/`` and the two tables, gzipped or not.
        seed: of the drawn image.

    Returns:
        Rows with ``report``; and counts: ``images``,
        ``not_frontal`` and ``view_unknown`` of them, ``studies``, ``without_frontal`` and
        ``unlabelled`` of these.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a column is missing, an image occurs twice, or a number, of which paths are
            made, is none.
    """
    root = Path(root)
    needed = ("dicom_id", "subject_id", "study_id", "ViewPosition")
    path = find_file(root, _METADATA)
    images = read_table(path, needed)
    if images["dicom_id"].duplicated().any():
        raise ValueError(
            f"{path}: dicom_id: {images['dicom_id'][images['dicom_id'].duplicated()].iloc[0]!r} "
            "occurs twice; repair the table"
        )
    for name, form in _FORMS.items():
        wrong = images[name][~images[name].str.fullmatch(form)]
        if len(wrong):
            raise ValueError(f"{path}: {name}: expected {form}, got {wrong.iloc[0]!r}")
    view = images["ViewPosition"].str.strip().str.upper()
    frontal = view.isin(FRONTAL)
    drawn = images[frontal].assign(view=view[frontal])
    drawn["order"] = [zlib.crc32(f"{seed} {name}".encode()) for name in drawn["dicom_id"]]
    chosen = drawn.sort_values(["study_id", "order"]).drop_duplicates("study_id")
    labels = _labels(root).reindex(chosen["study_id"])
    folder = "p" + chosen["subject_id"].str[:2]
    place = "files/" + folder + "/p" + chosen["subject_id"] + "/s" + chosen["study_id"]
    splits = {name: split for split, names in FOLDERS.items() for name in names}
    rows = pd.DataFrame(
        {
            "study_id": chosen["study_id"],
            "patient_id": chosen["subject_id"],
            "split": folder.map(splits),
            "image": place + "/" + chosen["dicom_id"] + ".jpg",
            "report": place + ".txt",
            "view": chosen["view"],
            "labels": labels.set_axis(chosen.index),
            "boxes": [[] for _ in range(len(chosen))],
            "reason": "",
        }
    ).reset_index(drop=True)
    counts = {
        "images": len(images),
        "not_frontal": int((~frontal & (view != "")).sum()),
        "view_unknown": int((view == "").sum()),
        "studies": images["study_id"].nunique(),
        "without_frontal": images["study_id"].nunique() - len(rows),
        "unlabelled": int(rows["labels"].isna().sum()),
    }
    rows["labels"] = [each if isinstance(each, dict) else {} for each in rows["labels"]]
    return rows, counts


def _labels(root: Path) -> pd.Series:
    """CheXpert's labels by study."""
    table = read_table(find_file(root, _CHEXPERT), ("study_id", NO_FINDING))
    table = table.drop_duplicates("study_id")
    names = [name for name in table if name not in ("study_id", "subject_id")]
    return pd.Series(label_maps(table, names), index=table["study_id"], dtype=object)
