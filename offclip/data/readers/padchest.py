"""PadChest: 39,053 images whose reports physicians labelled, 193 labels; 16-bit PNG files.

Images lie in ``<ImageDir>/<ImageID>`` or anywhere else below the root; the table is looked for at
the root. The other images, labelled by a network, are not listed.
"""

import ast
from pathlib import Path

import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.tables import find_file, images_below, mark, read_table

DATASET = "padchest"
NORMAL = "normal"
NOT_DISEASES = ("unchanged", "suboptimal study", "exclude")
"""Labels that say something else than a finding: report with and without."""
_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_NEEDED = ("ImageID", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
_VIEWS = {"L": "LATERAL", "AP_horizontal": "AP", "COSTAL": "COSTAL"}


def read_padchest(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """The physicians' images, all of the split "test"; labels that are absent are 0.

    A study may have several images under one report.

    Args:
        root: the folder with the table.
        seed: nothing is drawn; every reader takes it.

    Returns:
        Rows; and counts: ``rows`` of the table, ``physician`` of them (one a row here), ``labels``
        that occur, ``normal``, ``lateral``.

    Raises:
        FileNotFoundError: no table.
        ValueError: it lacks a column or is damaged.
    """
    table = read_table(find_file(root, _TABLE), _NEEDED)
    whole = len(table)
    table = table[table["MethodLabel"].str.strip() == "Physician"].reset_index(drop=True)
    labels = table["Labels"].map(_labels)
    name = table["ImageID"].str.strip()
    places = images_below(root, (".png",))
    view = table["Projection"].str.strip()
    rows = pd.DataFrame(
        {
            "study_id": table["StudyID"].str.strip(),
            "patient_id": table["PatientID"].str.strip(),
            "split": "test",
            "image": [places.get(each, each) for each in name],
            "view": view.map(_VIEWS).fillna(view),
            "is_normal": [each is not None and each == {NORMAL: 1} for each in labels],
            "labels": [each or {} for each in labels],
            "boxes": [[] for _ in name],
            "reason": "",
        }
    )
    mark(rows, [each is None for each in labels], "malformed")
    mark(rows, (rows["study_id"] == "") | (rows["patient_id"] == ""), "malformed")
    mark(rows, [each == {} for each in labels], "unlabelled")
    mark(rows, name.isin(load_manifest(DATASET).known_bad), "known_bad")
    mark(rows, name.duplicated(), "repeated")
    return rows, {
        "rows": whole,
        "physician": len(rows),
        "labels": len({label for each in rows["labels"] for label in each}),
        "normal": int(rows["is_normal"].sum()),
        "lateral": int((rows["view"] == "LATERAL").sum()),
    }


def _labels(text: str) -> dict[str, int] | None:
    """Labels of a list in Python's notation; None if it is none, as in a few malformed rows."""
    if text.strip() in ("", "nan"):
        return {}
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return None
    return {each.strip(): 1 for each in found if each.strip()}
