"""NIH ChestX-ray14 images that a reader has, with the captions that the set itself lacks.

The folder: ``manifest.csv`` (``file``, ``labels`` separated by ``|``, ``patient_id``, ``view``; if
known ``rsna_class``), ``images/``, and if known ``boxes.csv`` (``file``, ``label``, ``x_min``,
``y_min``, ``x_max``, ``y_max`` in pixels of the file as stored).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.records import validate_records
from offclip.data.tables import find_file, numbers, read_table
from offclip.imaging.boxes import upright_boxes
from offclip.imaging.facts import image_facts

DATASET = "nih_chestxray14"
NORMAL = "No Finding"
_NEEDED = ("file", "labels", "patient_id", "view")
_BOX = ("file", "label", "x_min", "y_min", "x_max", "y_max")

OPENI_CLASSES: Mapping[str, tuple[str, ...]] = {
    "Atelectasis": ("Atelectasis",),
    "Cardiomegaly": ("Cardiomegaly",),
    "Consolidation": ("Consolidation",),
    "Edema": ("Pulmonary Edema",),
    "Effusion": ("Pleural Effusion", "Blunted Costophrenic Angle"),
    "Emphysema": ("Emphysema",),
    "Fibrosis": ("Cicatrix", "Interstitial Markings"),
    "Infiltration": ("Opacity",),
    "Mass": ("Nodule",),
    "Nodule": ("Nodule",),
    "Pleural_Thickening": ("Pleural Thickening",),
    "Pneumonia": ("Opacity", "Consolidation"),
    "Pneumothorax": ("Pneumothorax",),
}
"""NIH's label to the Open-I classes whose reports can serve as its text; ours."""


def read_nih(folder: str | Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return records without text, all of the split "train", and RSNA's reading by study id.

    RSNA's reading (RSNA Pneumonia Detection Challenge, 2018) is "" for an image without one.

    Raises:
        FileNotFoundError: the folder has no ``manifest.csv``.
        ValueError: a column or an image is missing, an id occurs twice, a label is unknown, or a
            normal image has another label; names the file and the first row.
    """
    folder = Path(folder)
    table = read_table(find_file(folder, "manifest.csv"), _NEEDED, ("rsna_class",))
    known = load_manifest(DATASET).prompts
    named = table["labels"].str.split("|").map(set)
    _refuse(table, folder / "manifest.csv", {
        "file: it occurs twice": table["file"].duplicated(),
        "file: no such image": ~table["file"].map(lambda name: _image(folder, name).is_file()),
        f"labels: expected {NORMAL} alone or some of {', '.join(known)}":
            named.map(lambda found: found != {NORMAL} and not found <= set(known)),
    })  # fmt: skip
    ids = table["file"].map(lambda name: Path(name).stem)
    boxes = _boxes(folder / "boxes.csv", dict(zip(table["file"], ids, strict=True)))
    facts = [image_facts(_image(folder, name)) for name in table["file"]]
    records = pd.DataFrame(
        {
            "dataset": DATASET,
            "study_id": ids,
            "patient_id": table["patient_id"],
            "split": "train",
            "image": "images/" + table["file"],
            "view": table["view"],
            "sentences": [[] for _ in ids],
            "prompts": [[] for _ in ids],
            "prompt_abnormal": [[] for _ in ids],
            "is_normal": named.map(lambda found: found == {NORMAL}),
            "labels": named.map(lambda found: {name: int(name in found) for name in known}),
            "boxes": [
                upright_boxes(boxes.get(study, []), about.upright_size, about.orientation)
                for study, about in zip(ids, facts, strict=True)
            ],
            "width": [about.upright_size[0] for about in facts],
            "height": [about.upright_size[1] for about in facts],
            "access": "open",
        }
    )
    reading = table["rsna_class"] if "rsna_class" in table else pd.Series("", index=table.index)
    return validate_records(records), reading.set_axis(ids)


def captioned(records: pd.DataFrame, reports: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Give each image the text of a real report that fits its labels.

    A normal image gets a normal report. An abnormal one gets a report that shares a class with it
    (``OPENI_CLASSES``), drawn among those that share the most, and of these with the fewest classes
    beside: what else the report says is not true of this image, as text mined from labels never is.

    Args:
        records: images, as from :func:`read_nih`.
        reports: curated records of training reports.
        seed: of the draws.

    Raises:
        ValueError: no report fits an image; names its labels.
    """
    generator = np.random.default_rng(seed)
    said = [{name for name, value in dict(labels).items() if value} for labels in reports["labels"]]
    normal = np.flatnonzero(reports["is_normal"].to_numpy(dtype=bool))
    chosen = []
    for case in records.itertuples():
        labels = [name for name, value in dict(case.labels).items() if value]
        wanted = {each for name in labels for each in OPENI_CLASSES.get(name, ())}
        fits = normal if case.is_normal else _fitting(wanted, said)
        if not len(fits):
            raise ValueError(f"labels: no report has any of {sorted(wanted)} ({case.study_id})")
        chosen.append(int(generator.choice(fits)))
    text = reports.iloc[chosen].reset_index(drop=True)
    columns = ("sentences", "prompts", "prompt_abnormal")
    return records.assign(**{name: text[name].to_numpy() for name in columns})


def _fitting(wanted: set[str], said: list[set[str]]) -> np.ndarray:
    shared = np.array([len(wanted & each) for each in said])
    beside = np.array([len(each - wanted) for each in said])
    best = shared == shared.max()
    if not shared.max():
        return np.array([], dtype=int)
    return np.flatnonzero(best & (beside == beside[best].min()))


def _image(folder: Path, name: str) -> Path:
    """The file of an image; a name with a folder in it is not looked for."""
    return folder / "images" / name if Path(name).name == name else folder / "images" / "?"


def _boxes(path: Path, ids: Mapping[str, str]) -> dict[str, list[dict[str, float | str]]]:
    if not path.is_file():
        return {}
    table = read_table(path, _BOX)
    corners = pd.DataFrame(numbers(table, _BOX[2:]), columns=_BOX[2:])
    empty = ~((corners["x_max"] > corners["x_min"]) & (corners["y_max"] > corners["y_min"]))
    _refuse(table, path, {
        "file: not in manifest.csv": ~table["file"].isin(ids),
        "x_min, y_min, x_max, y_max: expected numbers that span an area": empty,
    })  # fmt: skip
    found: dict[str, list[dict[str, float | str]]] = {}
    for name, label, corner in zip(
        table["file"], table["label"], corners.to_dict("records"), strict=True
    ):
        found.setdefault(ids[name], []).append({"label": label, **corner})
    return found


def _refuse(table: pd.DataFrame, path: Path, faults: Mapping[str, pd.Series]) -> None:
    for name, rows in faults.items():
        if rows.any():
            line = int(np.flatnonzero(rows)[0])
            raise ValueError(
                f"{path}, line {line + 2}: {name}; got {table.iloc[line].to_dict()} "
                f"({int(rows.sum())} such rows); repair the table"
            )
