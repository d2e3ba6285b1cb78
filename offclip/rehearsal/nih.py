"""The layout of NIH ChestX-ray14 (see ``offclip.data.readers.chestxray14``).

Quirks: headers with commas inside their brackets, boxes under a header that stretches over four
columns and calls an infiltration "Infiltrate", boxes in pixels of 1024 whatever the file's size,
images in several folders, a few of four channels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.chestxray14 import SIDE
from offclip.rehearsal.cases import draw_cases, pictures, save, shares

_COLUMNS = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
_BOX_COLUMNS = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
_BOXED = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
          "Pneumothorax")  # fmt: skip


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images, tables and lists."""
    prompts = load_manifest("nih_chestxray14").prompts
    drawn = draw_cases(prompts, shares(studies, train_val=0.5, test=0.5), seed=seed)
    rows: list[str] = []
    boxed: list[str] = []
    lists: dict[str, list[str]] = {part: [] for part in drawn}
    for part, cases in drawn.items():
        for case, picture, boxes in pictures(cases, prompts, size=size):
            patient, follow = divmod(case.number, 2) if part == "train_val" else (case.number, 0)
            name = f"{patient + 1:08d}_{follow:03d}.png"
            square = _square(picture)
            shown = np.stack([square] * 3 + [np.full_like(square, 255)], axis=-1)
            folder = f"images_{1 + case.number % 3:03d}/images"
            save(shown if case.number % 19 == 0 else square, root / folder / name)
            found = "|".join(sorted(case.classes)) or "No Finding"
            view = "AP" if case.number % 3 == 0 else "PA"
            rows.append(f"{name},{found},{follow},{patient + 1},57,M,{view},2682,2749,0.143,0.143")
            lists[part].append(name)
            left, scale = (size - picture.shape[1]) // 2, SIDE / size
            for box in boxes:
                if part == "test" and box.label in _BOXED:
                    label = {"Infiltration": "Infiltrate"}.get(box.label, box.label)
                    corner = (box.x_min + left, box.y_min)
                    extent = (box.x_max - box.x_min, box.y_max - box.y_min)
                    place = ",".join(str(scale * value) for value in (*corner, *extent))
                    boxed.append(f"{name},{label},{place}")
    _lines(root / "Data_Entry_2017_v2020.csv", [_COLUMNS, *rows])
    _lines(root / "BBox_List_2017.csv", [_BOX_COLUMNS, *boxed])
    for part, names in lists.items():
        _lines(root / f"{part}_list.txt", names)


def _square(picture: np.ndarray) -> np.ndarray:
    missing = picture.shape[0] - picture.shape[1]
    return np.pad(picture, ((0, 0), (missing // 2, missing - missing // 2)))


def _lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
