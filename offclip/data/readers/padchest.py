"""PadChest: 39,053 images whose reports physicians labelled, 193 labels; 16-bit PNG files.

Images lie in ``<ImageDir>/<ImageID>``, or anywhere else below the root if only once; the table is
looked for at the root. The other images, labelled by a network, are not listed.
"""

import ast
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers.rows import finished, mark_conflicts
from offclip.data.tables import find_file, images_below, mark, read_table

DATASET = "padchest"
NORMAL = "normal"
NOT_DISEASES = ("unchanged", "suboptimal study", "exclude")
"""Labels that say something else than a finding: report with and without."""
_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_NEEDED = ("ImageID", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
_METHODS = ("Physician", "RNN_model")
_VIEWS = {"L": "LATERAL", "AP_horizontal": "AP", "COSTAL": "COSTAL"}
_FORMS = {"ImageID": r"[\w-]+\.png", "StudyID": "[0-9][0-9_-]*", "PatientID": "[0-9]+"}


def read_padchest(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """The physicians' images, all of the split "test".

    ``labels`` holds the labels of an image alone, as 1; whatever is absent is 0. A study may have
    several images under one report. "normal" with another label is an error: it never occurs in
    the published table.

    Args:
        root: the folder with the table.
        seed: not used; every reader takes it.

    Returns:
        Rows; and counts, which are
        ``rows`` of the table = ``physician`` (a row here each) + ``network`` +
        ``method_unknown``; of the rows kept: ``labels`` that occur, ``normal``, ``lateral`` and the
        three of ``NOT_DISEASES``.

    Raises:
        FileNotFoundError: no table.
        ValueError: it lacks a column or is damaged.
    """
    path = find_file(root, _TABLE)
    whole = read_table(path, _NEEDED, optional=("ImageDir",))
    manifest = load_manifest(DATASET)
    known = {*manifest.prompts, NORMAL}
    table = whole[whole["MethodLabel"] == _METHODS[0]].reset_index(drop=True)
    labels = [labels_of(each, known) for each in table["Labels"]]
    published = set(table["ImageDir"] + "/" + table["ImageID"]) if "ImageDir" in table else set()
    places, ambiguous = images_below(root, (".png",), published.__contains__)
    view = table["Projection"]
    rows = pd.DataFrame(
        {
            "study_id": table["StudyID"],
            "patient_id": table["PatientID"],
            "split": "test",
            "image": [places.get(each, each) for each in table["ImageID"]],
            "view": view.map(_VIEWS).fillna(view).astype(str),
            "is_normal": [each == {NORMAL: 1} for each in labels],
            "labels": [each or {} for each in labels],
            "boxes": [[] for _ in labels],
            "reason": "",
        }
    )
    for name, form in _FORMS.items():
        mark(rows, ~table[name].str.fullmatch(form), "malformed")
    mark(rows, [each is None for each in labels], "malformed")
    mark(rows, [each == {} for each in labels], "no_label")
    mark(rows, table["ImageID"].isin(manifest.known_bad), "known_bad")
    mark(rows, table["ImageID"].isin(ambiguous), "ambiguous")
    mark_conflicts(rows, "study_id", ["labels", "patient_id"])
    rows, reasons = finished(rows, {}, path)
    kept = rows[rows["reason"] == ""]
    network = int((whole["MethodLabel"] == _METHODS[1]).sum())
    counts = {
        "rows": len(whole),
        "physician": len(rows),
        "network": network,
        "method_unknown": len(whole) - len(rows) - network,
        "labels": len({label for each in kept["labels"] for label in each}),
        "normal": int(kept["is_normal"].sum()),
        "lateral": int((kept["view"] == "LATERAL").sum()),
    }
    counts |= {n: sum(n in each for each in kept["labels"]) for n in NOT_DISEASES}
    return rows, counts | reasons


def labels_of(text: str, known: Collection[str]) -> dict[str, int] | None:
    """Labels of a list in Python's notation; empty for no list, None for one that is damaged."""
    if text in ("", "nan"):
        return {}
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the latter two: deep brackets
        return None
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        return None
    labels = {each.strip(): 1 for each in names}
    if not set(labels) <= set(known) or (NORMAL in labels and len(labels) > 1):
        return None
    return labels
