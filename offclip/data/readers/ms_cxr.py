"""MS-CXR 1.1.0: phrases with boxes on images of MIMIC-CXR-JPG, which lie below the same root."""

from pathlib import Path

import pandas as pd

from offclip.data.readers.mimic import FOLDERS
from offclip.data.tables import find_file, mark, read_table

DATASET = "ms_cxr"
CLASSES = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Lung Opacity", "Pleural Effusion",
    "Pneumonia", "Pneumothorax",
)  # fmt: skip
_TABLES = ("MS_CXR_Local_Alignment_v1.1.0.csv", "MS_CXR_Local_Alignment_v1.0.0.csv")
_NUMBERS = ["x", "y", "w", "h", "image_width", "image_height"]
_PLACE = r"(files/p1\d/(p1\d{7})/(s\d{8})/[0-9a-f-]+\.jpg)$"


def read_ms_cxr(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """A row an image with its boxes and phrases, in the split of its folder in MIMIC-CXR.

    Boxes are in pixels of the image size that the table names, and are rescaled to the file's.
    Only findings with a box are known: every other label is null, and no image is normal.

    Args:
        root: the folder with the table and MIMIC-CXR-JPG's ``files/``.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows, with ``sentences``: the phrases; and counts: ``boxes``, ``phrases`` (pairs of image
        and phrase), ``images``, ``malformed_boxes``.

    Raises:
        FileNotFoundError: no table.
        ValueError: it lacks a column or is damaged.
    """
    table = read_table(
        find_file(root, *_TABLES), ("category_name", "label_text", "path", *_NUMBERS)
    )
    place = table["path"].str.strip().str.extract(_PLACE)
    numbers = table[_NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    good = (
        place.notna().all(axis=1)
        & table["category_name"].str.strip().isin(CLASSES)
        & (numbers[["w", "h", "image_width", "image_height"]] > 0).all(axis=1)
        & (numbers[["x", "y"]] >= 0).all(axis=1)
    )
    table = table.assign(**numbers, image=place[0], patient=place[1], study=place[2])
    pairs = table[["image", "label_text"]].drop_duplicates()
    splits = {name: split for split, names in FOLDERS.items() for name in names}
    rows = [
        {
            "study_id": each["study"].iloc[0].removeprefix("s"),
            "patient_id": each["patient"].iloc[0].removeprefix("p"),
            "split": splits[str(image).split("/")[1]],
            "image": image,
            "view": "",
            "is_normal": False,
            "labels": {c: 1 if c in set(each["category_name"].str.strip()) else None
                       for c in CLASSES},
            "boxes": [_box(row) for row in each.to_dict("records")],
            "box_width": int(each["image_width"].iloc[0]),
            "box_height": int(each["image_height"].iloc[0]),
            "sentences": [t for t in each["label_text"].str.strip().drop_duplicates() if t],
            "reason": "",
        }
        for image, each in table[good].groupby("image", sort=False)
    ]  # fmt: skip
    if not rows:
        raise ValueError(f"{root}: no row of the table has a path and a box of the published form")
    listed = pd.DataFrame(rows)
    mark(listed, listed["image"].duplicated(), "repeated")
    return listed, {
        "boxes": int(good.sum()),
        "phrases": len(pairs),
        "images": len(listed),
        "malformed_boxes": int((~good).sum()),
    }


def _box(row: dict[str, float | str]) -> dict[str, float | str]:
    x, y, width, height = (float(row[name]) for name in "xywh")
    return {
        "label": str(row["category_name"]).strip(),
        "x_min": x,
        "y_min": y,
        "x_max": x + width,
        "y_max": y + height,
    }
