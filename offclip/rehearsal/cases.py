"""Invented cases of a rehearsal: which classes each has, its picture and its boxes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from offclip.phantom import Box, Finding, render_many

NORMAL_SHARE = 0.4
FINDINGS: Mapping[str, Finding] = {
    "atelectasis": Finding("Atelectasis"),
    "linear atelectasis": Finding("Atelectasis", severity="mild"),
    "blunting of costophrenic angle": Finding("Blunted Costophrenic Angle"),
    "bulla": Finding("Emphysema"),
    "calcification": Finding("Calcified Granuloma", multiple=True),
    "calcified granuloma": Finding("Calcified Granuloma"),
    "cardiomegaly": Finding("Cardiomegaly"),
    "catheter": Finding("Catheter"),
    "central venous catheter": Finding("Catheter"),
    "chronic obstructive pulmonary disease": Finding("Emphysema"),
    "consolidation": Finding("Consolidation"),
    "degenerative change of spine": Finding("Degenerative Spine"),
    "elevated hemidiaphragm": Finding("Elevated Diaphragm"),
    "emphysema": Finding("Emphysema"),
    "enlarged aorta": Finding("Tortuous Aorta"),
    "enlarged cardiomediastinum": Finding("Tortuous Aorta"),
    "enlarged pulmonary artery": Finding("Hilar Enlargement"),
    "fracture": Finding("Rib Fracture"),
    "granuloma": Finding("Calcified Granuloma", zone="hilum"),
    "hiatal hernia": Finding("Hiatal Hernia"),
    "hilar enlargement": Finding("Hilar Enlargement"),
    "infiltrate": Finding("Opacity", multiple=True),
    "interstitial lung disease": Finding("Interstitial Markings"),
    "interstitial pattern": Finding("Interstitial Markings"),
    "low lung volume": Finding("Hypoinflation"),
    "lung lesion": Finding("Nodule"),
    "lung tumor": Finding("Nodule", severity="severe"),
    "mass": Finding("Nodule", severity="severe"),
    "nodule": Finding("Nodule"),
    "nodule or mass": Finding("Nodule"),
    "opacity": Finding("Opacity"),
    "pacemaker": Finding("Implanted Device"),
    "pleural effusion": Finding("Pleural Effusion"),
    "pleural thickening": Finding("Pleural Thickening"),
    "pneumonia": Finding("Consolidation", severity="severe"),
    "pneumothorax": Finding("Pneumothorax"),
    "pulmonary edema": Finding("Pulmonary Edema"),
    "pulmonary fibrosis": Finding("Interstitial Markings", severity="severe"),
    "rib fracture": Finding("Rib Fracture"),
    "scarring": Finding("Cicatrix"),
    "scoliosis": Finding("Scoliosis"),
    "support device": Finding("Implanted Device"),
}
"""Phrase of a prompt to what is drawn; other classes get labels and no picture. Ours."""


@dataclass(frozen=True)
class Case:
    """One study: its number, its classes (none: normal), and the seed of its person."""

    number: int
    classes: tuple[str, ...]
    seed: tuple[int, int]

    def labels(self, names: Sequence[str]) -> dict[str, int]:
        """1 for the case's own classes, 0 for the rest."""
        return {name: int(name in self.classes) for name in names}


def draw_cases(
    prompts: Mapping[str, str], counts: Mapping[str, int], *, seed: int
) -> dict[str, list[Case]]:
    """Cases by split, numbered through; classes in turn, so that each comes up in every split.

    Two classes that are drawn alike (mass and nodule) do not meet in one case.

    Args:
        prompts: class to phrase, of the manifest.
        counts: split to its number of cases.
        seed: of the draw.
    """
    generator, found, start = np.random.default_rng((seed, 1)), {}, 0
    for split, count in counts.items():
        normal = np.arange(count) < round(NORMAL_SHARE * count)
        generator.shuffle(normal)
        least = -(-len(prompts) // max(1, int((~normal).sum())))
        waiting: list[str] = []
        cases = []
        for number in range(count):
            classes: list[str] = []
            if not normal[number]:
                wanted = min(4, least + int(generator.integers(2)))
                waiting += list(generator.permutation(list(prompts))) if len(waiting) < 8 else []
                classes = _taken(waiting, wanted, prompts)
            cases.append(Case(start + number, tuple(classes), (seed, start + number)))
        found[split], start = cases, start + count
    return found


def _taken(waiting: list[str], wanted: int, prompts: Mapping[str, str]) -> list[str]:
    """Take the first classes off the list whose pictures differ."""
    taken: dict[str, str] = {}
    for name in waiting:
        drawn = FINDINGS.get(prompts[name])
        taken.setdefault(drawn.name if drawn else name, str(name))
        if len(taken) == wanted:
            break
    for name in taken.values():
        waiting.remove(name)
    return list(taken.values())


def pictures(
    cases: Sequence[Case], prompts: Mapping[str, str], *, size: int
) -> Iterator[tuple[Case, UInt8[np.ndarray, "height width"], list[Box]]]:
    """Each case with its picture (7/8 as wide as high) and the boxes of its classes."""
    cut = size // 16
    for start in range(0, len(cases), 32):  # memory stays flat
        some = cases[start : start + 32]
        drawn = [_findings(case, prompts) for case in some]
        phantoms = render_many(
            [list(each) for each in drawn], [case.seed for case in some], size=size
        )
        for case, names, phantom in zip(some, drawn, phantoms, strict=True):
            own = {finding.name: name for finding, name in names.items()}
            boxes = [_moved(box, own[box.label], cut, size) for box in phantom.boxes]
            yield case, phantom.image[:, cut : size - cut], boxes


def _findings(case: Case, prompts: Mapping[str, str]) -> dict[Finding, str]:
    return {FINDINGS[prompts[c]]: c for c in case.classes if prompts[c] in FINDINGS}


def _moved(box: Box, label: str, cut: int, size: int) -> Box:
    """A box in the cut picture."""
    left, right = (min(max(x - cut, 0), size - 2 * cut) for x in (box.x_min, box.x_max))
    return replace(box, label=label, x_min=left, x_max=max(right, left + 1))


def lateral(picture: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height narrow"]:
    """What stands for a lateral view, which the phantom cannot draw: two thirds as wide."""
    height, width = picture.shape
    return np.asarray(Image.fromarray(picture).resize((2 * width // 3, height)))


def twelve_bits(picture: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    """Grey values of a detector: 12 bits in 16, a margin at both ends."""
    return picture.astype(np.uint16) * 14 + 200


def save(picture: np.ndarray, path: Path) -> None:
    """Write a picture where its name says; PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95)


def save_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows as CSV, gzipped if the name says so; the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    method = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    pd.DataFrame(list(rows)).to_csv(path, index=False, compression=method, lineterminator="\n")


def shares(count: int, **parts: float) -> dict[str, int]:
    """``count`` shared out; what is left over goes to the last part."""
    found = {name: round(part * count) for name, part in parts.items()}
    last = list(parts)[-1]
    return found | {last: count - sum(found.values()) + found[last]}
