"""MS-CXR 1.1.0: phrases with boxes on images of MIMIC-CXR-JPG, which lie below the same root."""

from pathlib import Path
from typing import Any

import pandas as pd

from offclip.data.readers.mimic import SPLIT_OF
from offclip.data.readers.rows import box, finished
from offclip.data.tables import find_file, mark, numbers, read_table

DATASET = "ms_cxr"
CLASSES = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Lung Opacity", "Pleural Effusion",
    "Pneumonia", "Pneumothorax",
)  # fmt: skip
_TABLES = ("MS_CXR_Local_Alignment_v1.1.0.csv", "MS_CXR_Local_Alignment_v1.0.0.csv")
_NUMBERS = ("x", "y", "w", "h", "image_width", "image_height")
_NEEDED = ("category_name", "label_text", "path", *_NUMBERS)
_PLACE = r"^(?:[\w.-]+/)*?(files/(p1\d)/p(1\d{7})/s(\d{8})/[0-9a-f-]+\.jpg)$"


def read_ms_cxr(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """A row for each image with its boxes and phrases, in the split of its folder in MIMIC-CXR.

    Boxes are in pixels of the image size that the table names, and are rescaled to the file's.
    Only findings with a box are known: every other label is null, and no image is normal.

    Args:
        root: the folder with the table and MIMIC-CXR-JPG's ``files/``.
        seed: not used; every reader takes it.

    Returns:
        Rows, with ``sentences``: the phrases; and counts, which are
        rows of the table = ``boxes`` +
        ``boxes_repeated`` + ``boxes_malformed`` (no path of MIMIC-CXR, an unknown finding, or a box
        without area or outside its image); ``phrases`` (pairs of image and phrase), ``images``.

    Raises:
        FileNotFoundError: no table.
        ValueError: it lacks a column or is damaged, or no row is of the published form.
    """
    path = find_file(root, *_TABLES)
    table = read_table(path, _NEEDED)
    repeated = table.duplicated()
    table[["image", "folder", "patient", "study"]] = table["path"].str.extract(_PLACE)
    table["box"] = [
        box(label, (x, y, x + w, y + h), width, height) if label in CLASSES else None
        for label, (x, y, w, h, width, height) in zip(
            table["category_name"], numbers(table, _NUMBERS), strict=True
        )
    ]
    own_folder = table["folder"] == "p" + table["patient"].str[:2]
    good = own_folder & table["box"].notna() & ~repeated
    if not good.any():
        raise ValueError(f"{path}: no row has a path and a box of the published form; is it whole?")
    images = table[good].groupby("image", sort=False)
    rows = pd.DataFrame([_row(str(image), each) for image, each in images])
    sizes = images[["image_width", "image_height"]].nunique()
    mark(rows, (sizes.to_numpy() > 1).any(axis=1), "conflicting")
    counts = {
        "boxes": int(good.sum()),
        "boxes_repeated": int(repeated.sum()),
        "boxes_malformed": int((~good & ~repeated).sum()),
        "phrases": len(table.loc[good, ["image", "label_text"]].drop_duplicates()),
        "images": len(rows),
    }
    return finished(rows, counts, path)


def _row(image: str, table: pd.DataFrame) -> dict[str, Any]:
    first, named = table.iloc[0], set(table["category_name"])
    return {
        "study_id": first["study"],
        "patient_id": first["patient"],
        "split": SPLIT_OF[first["folder"]],
        "image": image,
        "view": "",
        "is_normal": False,
        "labels": {c: 1 if c in named else None for c in CLASSES},
        "boxes": table["box"].tolist(),
        "box_width": int(float(first["image_width"])),
        "box_height": int(float(first["image_height"])),
        "sentences": [text for text in table["label_text"].drop_duplicates() if text],
        "reason": "",
    }
