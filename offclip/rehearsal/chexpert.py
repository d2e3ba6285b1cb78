"""The layout of CheXpert (see ``offclip.data.readers.chexpert``).

Quirks: paths with the folder of a download before them in two tables and none in the third; several
views a study with one label; uncertain and blank labels in train alone.
"""

from pathlib import Path

from offclip.data.manifests import load_manifest
from offclip.data.readers.chexpert import CLASSES, NO_FINDING
from offclip.rehearsal.cases import Case, draw_cases, lateral, pictures, save, save_table, shares

_TABLES = {
    "train": ("train.csv", "CheXpert-v1.0/train", "train"),
    "validation": ("valid.csv", "CheXpert-v1.0/valid", "valid"),
    "test": ("test_labels.csv", "test", "test"),
}


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images and a table a part."""
    prompts = load_manifest("chexpert").prompts
    drawn = draw_cases(prompts, shares(studies, train=0.3, validation=0.2, test=0.5), seed=seed)
    for split, cases in drawn.items():
        table, listed, folder = _TABLES[split]
        rows: list[dict[str, object]] = []
        for case, picture, _ in pictures(cases, prompts, size=size):
            study = f"patient{case.number + 1:05d}/study1"
            if split == "train":  # two studies a patient
                study = f"patient{case.number // 2 + 1:05d}/study{case.number % 2 + 1}"
            views = ["frontal"] * (1 + (case.number % 7 == 0)) + ["lateral"] * (
                case.number % 3 == 0
            )
            for number, view in enumerate(views, 1):
                name = f"{study}/view{number}_{view}.jpg"
                shown = lateral(picture) if view == "lateral" else picture
                save(shown, root / folder / name)
                rows.append(
                    {"Path": f"{listed}/{name}"} | _about(view, split) | _labels(case, split)
                )
        save_table(rows, root / table)


def _about(view: str, split: str) -> dict[str, object]:
    if split == "test":
        return {}
    front = {"Frontal/Lateral": view.capitalize(), "AP/PA": "PA" if view == "frontal" else ""}
    return {"Sex": "Female", "Age": 50} | front


def _labels(case: Case, split: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for place, name in enumerate(CLASSES):
        said = name in case.classes or (name == NO_FINDING and not case.classes)
        if said or split != "train":
            found[name] = float(said)
        else:
            unsure = case.classes and name != NO_FINDING
            quirk = (case.number + place) % 9
            found[name] = {0: -1.0 if unsure else "", 1: 0.0}.get(quirk, "")
    return found
