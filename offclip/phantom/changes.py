"""Findings that change the anatomy itself, and the part of it that shows them."""

from collections.abc import Callable

import numpy as np

from offclip.phantom.anatomy import SIDES, Anatomy
from offclip.phantom.body import Chest, Map, dome_map
from offclip.phantom.findings import Finding
from offclip.phantom.solids import Real

Change = Callable[[Anatomy, Finding, np.random.Generator], None]
Region = Callable[[Chest, Finding], list[Map]]


def grade(finding: Finding, mild: Real, moderate: Real, severe: Real) -> float:
    """Value for the severity; an annotation without severity lies between mild and moderate."""
    unsaid = 0.5 * (mild + moderate)
    return float({"mild": mild, "moderate": moderate, None: unsaid}.get(finding.severity, severe))


def pick_sides(finding: Finding, rng: np.random.Generator, right: float = 0.5) -> list[int]:
    """Sides (-1 right, +1 left) of a finding; ``right`` is the chance of the right one."""
    chosen = -1 if rng.random() < right else 1
    if finding.side == "bilateral":
        return [-1, 1]
    return [chosen] if finding.side is None else [SIDES[finding.side]]


def lung_sides(finding: Finding) -> list[int]:
    """Sides of a diffuse finding: both, unless one is annotated."""
    return [SIDES[finding.side]] if finding.side in ("left", "right") else [-1, 1]


def enlarge_heart(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Widen the heart to more than half of the chest."""
    person.heart = grade(finding, 0.55, 0.60, 0.68) + 0.015 * rng.uniform(-1, 1)
    person.heart_y -= 4.0


def congest(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Larger hila and vessels, upper ones too, and wetter lungs."""
    person.hilum = max(person.hilum, grade(finding, 1.45, 1.6, 1.75))
    person.vessel *= grade(finding, 1.4, 1.55, 1.7)
    person.upper_vessel = 1.2
    person.lung_mu *= grade(finding, 1.10, 1.2, 1.35)


def overinflate(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Large dark lungs, low flat domes, narrow heart."""
    amount = grade(finding, 0.9, 1.2, 1.6) + 0.1 * rng.uniform(-1, 1)
    person.chest *= 1 + 0.03 * amount
    person.dome = {side: y + 19 * amount for side, y in person.dome.items()}
    person.dome_height *= max(0.3, 1 - 0.45 * amount)
    person.lung_mu *= 1 - 0.2 * amount
    person.heart *= 1 - 0.09 * amount
    person.heart_y += 10 * amount
    person.vessel *= 0.85


def underinflate(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """High domes, dense lungs, a heart that lies higher and wider."""
    amount = grade(finding, 0.9, 1.15, 1.4) + 0.1 * rng.uniform(-1, 1)
    person.dome = {side: y - 30 * amount for side, y in person.dome.items()}
    person.heart_y -= 22 * amount
    person.heart *= 1 + 0.05 * amount
    person.lung_mu *= 1 + 0.18 * amount
    person.vessel *= 1.15


def raise_dome(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Raise one dome, more on the left, which is normally the lower one."""
    for side in pick_sides(finding, rng, right=0.65):
        person.dome[side] -= grade(finding, 27.0, 34.0, 46.0) + (8.0 if side == 1 else 0.0)


def bend_spine(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Curve the spine to one side (convex to the annotated side)."""
    side = pick_sides(finding, rng, right=0.7)[0]
    person.bend = side * (grade(finding, 22.0, 27.0, 36.0) + 2 * rng.uniform(-1, 1))


def widen_aorta(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Large knob, and a descending aorta that bulges to the left."""
    person.knob += grade(finding, 6.0, 8.0, 11.0) + rng.uniform(-1, 1)
    person.aorta_out += grade(finding, 16.0, 20.0, 27.0)


def enlarge_hila(person: Anatomy, finding: Finding, rng: np.random.Generator) -> None:
    """Enlarge both hila."""
    size = grade(finding, 1.6, 1.75, 1.95)
    person.hilum = max(person.hilum, size)


def lung_region(chest: Chest, finding: Finding) -> list[Map]:
    """One map per lung, or only the annotated side."""
    return [chest.lung[side] for side in lung_sides(finding)]


def heart_region(chest: Chest, finding: Finding) -> list[Map]:
    """The whole heart."""
    return [chest.heart]


def aorta_region(chest: Chest, finding: Finding) -> list[Map]:
    """Knob and descending aorta."""
    return [chest.aorta]


def spine_region(chest: Chest, finding: Finding) -> list[Map]:
    """The whole spine."""
    return [chest.spine]


def hilum_region(chest: Chest, finding: Finding) -> list[Map]:
    """Each hilum, or only that of the annotated side."""
    return [chest.hila[side] for side in lung_sides(finding)]


def dome_region(chest: Chest, finding: Finding) -> list[Map]:
    """The part of the dome that stands above the normal level of that side."""
    person, out = chest.anatomy, []
    for side, normal in person.normal_dome.items():
        if normal - person.dome[side] > 20:
            usual = dome_map(person, chest.grid, side, normal)
            above = (chest.grid.axis < normal)[:, None]
            out.append(np.maximum(chest.domes[side] - usual, 0) * above)
    return out
