"""The layout of VinDr-CXR 1.0.0 (see ``offclip.data.readers.vindr``).

Quirks: three readers of a training image who differ; "Other disease" in one part and "Other
diseases" in the other; rows without a box; DICOM files of 12 bits in MONOCHROME1 and 2, with
several transfer syntaxes, a window and a rescale slope.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.vindr import GLOBAL, LOCAL, NO_FINDING
from offclip.phantom import Box
from offclip.rehearsal.cases import Case, draw_cases, pictures, save_table, shares, twelve_bits
from offclip.rehearsal.films import save_dicom

READERS = [f"R{number}" for number in range(1, 18)]
_LAST = {"train": "Other diseases", "test": "Other disease"}
_CORNERS = ("x_min", "y_min", "x_max", "y_max")


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write DICOM files and the four tables of both parts."""
    prompts = load_manifest("vindr_cxr").prompts
    drawn = draw_cases(prompts, shares(studies, train=0.5, test=0.5), seed=seed)
    for part, cases in drawn.items():
        labels: list[dict[str, object]] = []
        notes: list[dict[str, object]] = []
        for case, picture, boxes in pictures(cases, prompts, size=size):
            name = f"{case.number + 1:08x}{seed:024x}"
            kind = "MONOCHROME1" if case.number % 5 == 0 else "MONOCHROME2"
            film = root / part / f"{name}.dicom"
            save_dicom(twelve_bits(picture), film, kind=kind, number=case.number)
            for reader in _readers(case, seed) if part == "train" else [""]:
                seen = _seen(case, reader, seed)
                about = {"image_id": name} | ({"rad_id": reader} if reader else {})
                labels.append(about | _labels(seen, part))
                notes += [{**about, **row} for row in _notes(seen, boxes, picture.shape, reader)]
        save_table(labels, root / "annotations" / f"image_labels_{part}.csv")
        save_table(notes, root / "annotations" / f"annotations_{part}.csv")


def _readers(case: Case, seed: int) -> list[str]:
    generator = np.random.default_rng((seed, case.number, 3))
    return sorted(generator.choice(READERS, size=3, replace=False))


def _seen(case: Case, reader: str, seed: int) -> tuple[str, ...]:
    """What a reader says: one class in four is missed, a few are added; by consensus, none."""
    if not reader:
        return case.classes
    generator = np.random.default_rng((seed, case.number, int(reader[1:]), 4))
    seen = [name for name in case.classes if generator.random() > 1 / 4]
    added = [GLOBAL[generator.integers(len(GLOBAL) - 1)]] if generator.random() < 1 / 8 else []
    return tuple(dict.fromkeys([*seen, *added]))


def _labels(seen: Sequence[str], part: str) -> dict[str, object]:
    names = [_LAST[part] if name == _LAST["train"] else name for name in (*LOCAL, *GLOBAL)]
    said = {_LAST[part] if name == _LAST["train"] else name for name in seen} or {NO_FINDING}
    return {name: int(name in said) for name in names}


def _notes(
    seen: Sequence[str], boxes: Sequence[Box], shape: tuple[int, ...], reader: str
) -> list[dict[str, object]]:
    """A row a box, moved a little for each reader; labels of the whole image have none."""
    shift = int(reader[1:]) % 3 - 1 if reader else 0
    rows: list[dict[str, object]] = []
    for name in seen or [NO_FINDING]:
        own = [box for box in boxes if box.label == name] if name in LOCAL else []
        for box in own:
            sides = zip(_CORNERS, (box.x_min, box.y_min, box.x_max, box.y_max), strict=True)
            moved = {side: float(np.clip(v + shift, 0, shape[side[0] == "x"])) for side, v in sides}
            rows.append({"class_name": name, **moved})
        if not own:
            rows.append({"class_name": name, **dict.fromkeys(_CORNERS, "")})
    return rows
