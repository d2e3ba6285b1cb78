"""The layout of ChestX-Det10 (see ``offclip.data.readers.chestx_det10``).

Quirks: a class as often as it has boxes, images without any, names of the set's own.
"""

import json
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.chestxray14 import SIDE
from offclip.rehearsal.cases import draw_cases, pictures, save, shares


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images and a list a part; boxes are in pixels of 1024, as the published images are."""
    prompts = load_manifest("chestx_det10").prompts
    drawn = draw_cases(prompts, shares(studies, train=0.5, test=0.5), seed=seed)
    for part, cases in drawn.items():
        entries = []
        for case, picture, boxes in pictures(cases, prompts, size=size):
            missing = size - picture.shape[1]
            name = f"{36200 + case.number}.png"
            sides = ((0, 0), (missing // 2, missing - missing // 2))
            save(np.pad(picture, sides), root / f"{part}_data" / name)
            scaled = [
                [round(SIDE / size * value) for value in
                 (b.x_min + missing // 2, b.y_min, b.x_max + missing // 2, b.y_max)]
                for b in boxes
            ]  # fmt: skip
            entries.append(
                {"file_name": name, "syms": [box.label for box in boxes], "boxes": scaled}
            )
        (root / f"{part}.json").write_text(json.dumps(entries), encoding="utf-8")
