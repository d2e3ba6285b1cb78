"""Render findings as a frontal radiograph (PA display: the patient's right on the left)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from offclip.phantom import changes, hardware, lesions
from offclip.phantom.anatomy import sample_anatomy
from offclip.phantom.body import Chest, Map, build_chests
from offclip.phantom.detector import expose
from offclip.phantom.findings import Box, Finding
from offclip.phantom.solids import FIELD_MM, make_grid

SIZES = (32, 1024)
RENDERING = 0x520CFA28
"""Names what is rendered in the configuration of a run; another number whenever images change."""
_PIXELS_TOGETHER = 32 * 64**2  # of the chests drawn at a time: what fits in a core's cache
_BOX_LEVEL = 0.1  # a lesion's box holds every pixel above this part of its largest thickness


@dataclass(frozen=True)
class Phantom:
    """An 8-bit image (bone bright, lungs dark) and the boxes of what was drawn."""

    image: UInt8[np.ndarray, "size size"]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Kind:
    """How a class is drawn: a change of the anatomy, and the maps that give its boxes.

    ``draw`` may add its own solids; a class without ``draw`` shows in ``region``.
    """

    change: changes.Change | None = None
    draw: Callable[[Chest, Finding, np.random.Generator], list[Map]] | None = None
    region: changes.Region | None = None


FINDINGS: dict[str, Kind] = {
    "Aortic Calcification": Kind(draw=hardware.aortic_calcification),
    "Atelectasis": Kind(draw=lesions.atelectasis),
    "Blunted Costophrenic Angle": Kind(draw=lesions.blunted_angle),
    "Calcified Granuloma": Kind(draw=lesions.granuloma),
    "Cardiomegaly": Kind(change=changes.enlarge_heart, region=changes.heart_region),
    "Catheter": Kind(draw=hardware.catheter),
    "Cicatrix": Kind(draw=lesions.cicatrix),
    "Consolidation": Kind(draw=lesions.consolidation),
    "Degenerative Spine": Kind(draw=hardware.degenerative_spine),
    "Elevated Diaphragm": Kind(change=changes.raise_dome, region=changes.dome_region),
    "Emphysema": Kind(change=changes.overinflate, region=changes.lung_region),
    "Hiatal Hernia": Kind(draw=hardware.hiatal_hernia),
    "Hilar Enlargement": Kind(change=changes.enlarge_hila, region=changes.hilum_region),
    "Hypoinflation": Kind(change=changes.underinflate, region=changes.lung_region),
    "Implanted Device": Kind(draw=hardware.implanted_device),
    "Interstitial Markings": Kind(draw=lesions.interstitial),
    "Nodule": Kind(draw=lesions.nodule),
    "Opacity": Kind(draw=lesions.opacity),
    "Pleural Effusion": Kind(draw=lesions.effusion),
    "Pleural Thickening": Kind(draw=lesions.pleural_thickening),
    "Pneumothorax": Kind(draw=lesions.pneumothorax),
    "Pulmonary Edema": Kind(change=changes.congest, draw=lesions.edema),
    "Rib Fracture": Kind(draw=hardware.rib_fracture),
    "Scoliosis": Kind(change=changes.bend_spine, region=changes.spine_region),
    "Surgical Instruments": Kind(draw=hardware.surgical_instruments),
    "Tortuous Aorta": Kind(change=changes.widen_aorta, region=changes.aorta_region),
}


def render(findings: Sequence[Finding], *, seed: int | Sequence[int], size: int = 64) -> Phantom:
    """Draw one radiograph of ``size`` by ``size`` pixels.

    The same findings and seed give the same person at every size, and the same image at the same
    size. Equal findings are drawn once.

    Each lesion has one box around the pixels where its own thickness exceeds 10 % of its largest
    one. Findings that change an organ get the box of the organ: heart (cardiomegaly), aorta, hila,
    spine, the raised part of the dome, and each lung (edema, emphysema, hypoinflation,
    interstitial markings).

    Args:
        findings: what to draw; empty for a normal chest.
        seed: a number >= 0 or several of them.
        size: 32 to 1024 pixels; the field is always 330 mm.

    Raises:
        ValueError: an unknown class or a size out of range.
    """
    return render_many([findings], [seed], size=size)[0]


def render_many(
    findings: Sequence[Sequence[Finding]], seeds: Sequence[int | Sequence[int]], *, size: int = 64
) -> list[Phantom]:
    """``render`` for each pair of finding list and seed, several chests at a time.

    Raises:
        ValueError: as ``render``, or when the two lists differ in length.
    """
    if not isinstance(size, int | np.integer) or not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(
            f"size: expected a whole number of pixels from {SIZES[0]} to {SIZES[1]}, got {size!r}; "
            "choose 64, 96, 128 or 256"
        )
    if len(findings) != len(seeds):
        raise ValueError(
            f"seeds: expected one for each of {len(findings)} finding lists, got {len(seeds)}"
        )
    cases = [_Case(each, seed) for each, seed in zip(findings, seeds, strict=True)]
    together = max(1, _PIXELS_TOGETHER // int(size) ** 2)
    return [
        phantom
        for start in range(0, len(cases), together)
        for phantom in _render(cases[start : start + together], int(size))
    ]


class _Case:
    """What to draw, its streams of random numbers, and the person, changed by the findings."""

    def __init__(self, findings: Sequence[Finding], seed: int | Sequence[int]):
        unique = tuple(dict.fromkeys(findings))
        entropy = [seed] if isinstance(seed, int | np.integer) else list(seed)
        streams = [
            np.random.Generator(np.random.PCG64([*entropy, 1 + i])) for i in range(len(unique))
        ]
        kinds = [_kind(finding) for finding in unique]
        self.parts = list(zip(unique, kinds, streams, strict=True))
        self.rng = np.random.Generator(np.random.PCG64(entropy))
        self.person = sample_anatomy(self.rng)
        for finding, kind, stream in self.parts:
            if kind.change:
                kind.change(self.person, finding, stream)


def _render(cases: Sequence[_Case], size: int) -> list[Phantom]:
    """Render cases whose maps are in memory together."""
    phantoms = []
    chests = build_chests([case.person for case in cases], make_grid(size))
    for case, chest in zip(cases, chests, strict=True):
        boxes: list[Box] = []
        for finding, kind, stream in case.parts:
            maps = kind.draw(chest, finding, stream) if kind.draw else []
            maps = maps + (kind.region(chest, finding) if kind.region else [])
            boxes += [box for path in maps if (box := box_of(path, finding.name))]
        image = expose(chest.attenuation(), FIELD_MM / size, case.person.exposure, case.rng)
        phantoms.append(Phantom(image, tuple(boxes)))
    return phantoms


def box_of(path: Map, label: str) -> Box | None:
    """Box around the pixels above 10 % of the largest thickness; None for an empty map."""
    peak = float(path.max())
    if peak <= 0:
        return None
    mask = path > _BOX_LEVEL * peak
    columns, lines = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = float(columns[0]), float(lines[0])
    return Box(label, x, y, float(columns[-1] + 1), float(lines[-1] + 1))


def _kind(finding: Finding) -> Kind:
    if finding.name not in FINDINGS:
        raise ValueError(
            f"finding: expected one of {sorted(FINDINGS)}, got {finding.name!r}; "
            "use findings_from_mesh to read annotations"
        )
    return FINDINGS[finding.name]
