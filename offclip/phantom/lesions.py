"""Findings of lung and pleura that are added to a chest; each returns one map per lesion."""

import numpy as np

from offclip.phantom.anatomy import MU_SOFT
from offclip.phantom.body import Chest, Map
from offclip.phantom.changes import grade, lung_sides, pick_sides
from offclip.phantom.findings import Finding
from offclip.phantom.solids import Real, add_ellipsoids, add_rods, ellipsoid, rod

# zone: range of depth between apex (0) and dome (1)
_ZONES = {
    "apex": (0.12, 0.22),
    "upper": (0.24, 0.42),
    "middle": (0.46, 0.66),
    "hilum": (0.5, 0.6),
    "lower": (0.68, 0.86),
    "base": (0.84, 0.95),
}


def place(
    chest: Chest, finding: Finding, side: int, rng: np.random.Generator, usual: tuple[float, float]
) -> tuple[float, float]:
    """Point in the lung of ``side``: the annotated zone, else a depth in ``usual``."""
    low, high = _ZONES[finding.zone] if finding.zone else usual
    down = rng.uniform(low, high)
    inner = 0.10 if finding.zone == "hilum" else (0.5 if side > 0 and down > 0.55 else 0.28)
    across = rng.uniform(inner, 0.2 if finding.zone == "hilum" else 0.82)
    return chest.anatomy.lung_point(side, across, down)


def _fill(chest: Chest, path: Map, part: float) -> Map:
    """Replace up to ``path`` mm of lung by soft tissue of relative density ``part``."""
    inside = np.minimum(path, chest.free)
    chest.free -= inside
    chest.extra += np.float32((MU_SOFT - chest.anatomy.lung_mu) * part) * inside
    return inside


def _cloud(
    chest: Chest, x: Real, y: Real, size: Real, depth: Real, rng: np.random.Generator
) -> Map:
    """Irregular soft region: many overlapping ellipsoids around a centre, no sharp border.

    ``size`` is the radius and ``depth`` the thickness in the middle, both in mm.
    """
    count = 26
    shift = 0.42 * size * rng.standard_normal((count, 2)).clip(-1.7, 1.7)
    axis = size * rng.uniform(0.25, 0.62, count)
    other = axis * rng.uniform(0.6, 0.95, count)
    chord = 5.0 * depth / count * rng.uniform(0.6, 1.4, count)
    rows = [x + shift[:, 0], y + 0.8 * shift[:, 1], axis, other, rng.uniform(0, 3.14, count), chord]
    path = chest.blank()
    add_ellipsoids(path, chest.grid, np.stack(rows, axis=1))
    return path


def _count(finding: Finding, rng: np.random.Generator) -> int:
    return int(rng.integers(2, 4)) if finding.multiple else 1


def opacity(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Hazy, ill-defined density."""
    out = []
    for side in pick_sides(finding, rng, 0.55):
        for _ in range(_count(finding, rng)):
            x, y = place(chest, finding, side, rng, (0.6, 0.93))
            path = _cloud(chest, x, y, grade(finding, 17, 22, 30), 55, rng)
            out.append(_fill(chest, path, grade(finding, 0.62, 0.7, 0.85)))
    return out


def consolidation(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Larger and denser region of lung filled with fluid."""
    out = []
    for side in pick_sides(finding, rng, 0.58):
        for _ in range(_count(finding, rng)):
            x, y = place(chest, finding, side, rng, (0.55, 0.93))
            path = _cloud(chest, x, y, grade(finding, 26, 33, 44), 95, rng)
            out.append(_fill(chest, path, grade(finding, 0.75, 0.85, 1.0)))
    return out


def atelectasis(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Plate-like collapse: flat bands, mostly basal and nearly horizontal."""
    out = []
    for side in pick_sides(finding, rng, 0.48):
        x, y = place(chest, finding, side, rng, (0.82, 0.95))
        rows, tilt = [], side * rng.uniform(-0.35, 0.25)
        for i in range(1 + int(rng.integers(1, 3)) * (1 + finding.multiple)):
            shift = 9.0 * i * rng.uniform(0.7, 1.3)
            rows.append(
                ellipsoid(
                    x + rng.uniform(-8, 8),
                    y - shift,
                    grade(finding, 26, 30, 36),
                    grade(finding, 3.0, 3.6, 5.0),
                    30,
                    tilt + rng.uniform(-0.15, 0.15),
                )
            )
        path = chest.blank()
        add_ellipsoids(path, chest.grid, np.array(rows))
        out.append(_fill(chest, path, 1.0))
    return out


def nodule(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Round soft lesions; severe ones are masses."""
    out = []
    for side in pick_sides(finding, rng, 0.58):
        for _ in range(_count(finding, rng) + finding.multiple):
            x, y = place(chest, finding, side, rng, (0.25, 0.85))
            r = grade(finding, 10.5, 13.0, 23.0) * rng.uniform(0.95, 1.15)
            path = chest.blank()
            add_ellipsoids(
                path,
                chest.grid,
                np.array(
                    [ellipsoid(x, y, r, r * rng.uniform(0.8, 1), 1.5 * r, rng.uniform(0, 3.14))]
                ),
            )
            out.append(_fill(chest, path, 1.5))
    return out


def granuloma(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Small, dense, sharply bounded calcified nodules."""
    out = []
    for side in pick_sides(finding, rng, 0.58):
        for _ in range(int(rng.integers(2, 5)) if finding.multiple else 1):
            x, y = place(chest, finding, side, rng, (0.25, 0.88))
            r = grade(finding, 5.0, 5.8, 7.5) * rng.uniform(0.95, 1.2)
            r *= 1.25 if finding.zone == "hilum" else 1.0
            path = chest.blank()
            add_ellipsoids(path, chest.grid, np.array([ellipsoid(x, y, r, r * 0.9, 1.2 * r)]))
            chest.extra += np.float32(0.11) * path
            out.append(path)
    return out


def effusion(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Fluid that climbs at the chest wall (meniscus) and hides the costophrenic angle."""
    level = grade(finding, 4.0, 22.0, 62.0) + 5 * rng.uniform(-1, 1)
    return [
        _fluid(chest, side, level, grade(finding, 40, 48, 60), 2)
        for side in pick_sides(finding, rng, 0.5)
    ]


def blunted_angle(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """A little fluid or thickening that only rounds off the costophrenic angle."""
    climb = grade(finding, 44, 50, 58) + 4 * rng.uniform(-1, 1)
    return [_fluid(chest, side, -30.0, climb, 3) for side in pick_sides(finding, rng, 0.45)]


def _fluid(chest: Chest, side: int, level: float, climb: float, power: int) -> Map:
    person, axis = chest.anatomy, chest.grid.axis
    across = np.clip(side * (axis - person.x) / person.chest, 0, 1)
    surface = person.dome[side] + 8 - level - climb * across**power
    ramp = np.clip((axis[:, None] - surface[None, :]) / 9.0, 0, 1).astype(np.float32)
    return _fill(chest, chest.lung[side] * ramp, 0.95)


def pneumothorax(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Air between chest wall and lung: no lung, no vessels, a thin pleural line."""
    out = []
    person, axis = chest.anatomy, chest.grid.axis
    top = grade(finding, 26.0, 36.0, 70.0) * rng.uniform(0.95, 1.1)
    wall = grade(finding, 10.0, 16.0, 42.0)
    for side in pick_sides(finding, rng, 0.65):
        outer = person.chest_half_width(axis - top) - wall
        gap = side * (axis[None, :] - person.x) - outer[:, None]
        free = np.clip(gap / 2.0 + 0.5, 0, 1).astype(np.float32)
        path = chest.lung[side] * free
        chest.extra -= np.float32(person.lung_mu) * path
        line = np.clip(1 - np.abs(gap) / max(2.0, chest.grid.pixel * 0.7), 0, 1)
        chest.extra += (0.10 * line * (path + chest.lung[side] > 0)).astype(np.float32)
        if side < 0:
            chest.vessels *= 1 - free * (axis < person.x)
        else:
            chest.vessels *= 1 - free * (axis > person.x)
        out.append(path)
    return out


def edema(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Perihilar haze on both sides (vessels and hila are enlarged by ``congest``)."""
    person = chest.anatomy
    for side in (-1, 1):
        x, y = person.lung_point(side, 0.3, 0.62)
        path = _cloud(chest, x, y, 42, 60, rng)
        _fill(chest, path, grade(finding, 0.22, 0.3, 0.5))
    return [chest.lung[side] for side in (-1, 1)]


def interstitial(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """A net of fine lines through the lungs, denser at the bases."""
    person, out = chest.anatomy, []
    high, low = (0.1, 0.45) if finding.zone in ("apex", "upper") else (0.35, 1.0)
    for side in lung_sides(finding):
        down = rng.uniform(high, low, 120)
        x, y = person.lung_point(side, rng.uniform(0.05, 0.95, 120), down)
        half, angle = rng.uniform(4, 10, 120), rng.uniform(0, 3.14, 120)
        radius = np.full(120, 1.0)
        path = chest.blank()
        add_rods(path, chest.grid, np.stack([x, y, half, radius, angle, 2 * radius], axis=1))
        path *= chest.lung[side] > 0
        chest.extra += np.float32(grade(finding, 0.13, 0.15, 0.19)) * path
        out.append(chest.lung[side] * (path > 0))
    return out


def cicatrix(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Scar: a few fine strands that run together."""
    out = []
    for side in pick_sides(finding, rng, 0.5):
        x, y = place(chest, finding, side, rng, (0.1, 0.3) if rng.random() < 0.4 else (0.75, 0.92))
        rows = []
        start = rng.uniform(0, 3.14)
        for i in range(4):
            angle, length = start + 0.55 * i, rng.uniform(15, 26)
            rows.append(rod(x, y, x + length * np.cos(angle), y + length * np.sin(angle), 1.7))
        path = chest.blank()
        add_rods(path, chest.grid, np.array(rows))
        add_ellipsoids(path, chest.grid, np.array([ellipsoid(x, y, 7, 4.5, 4, start)]))
        chest.extra += np.float32(grade(finding, 0.085, 0.095, 0.11)) * path
        out.append(path)
    return out


def pleural_thickening(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """A dense rim inside the chest wall, at the apex or along the side."""
    person, axis, out = chest.anatomy, chest.grid.axis, []
    thick = grade(finding, 10.0, 12.5, 17.0)
    zone = finding.zone or ("apex" if rng.random() < 0.45 else "lower")
    low, high = (0.0, 0.22) if zone in ("apex", "upper") else (0.45, 0.92)
    for side in pick_sides(finding, rng, 0.5):
        y0 = person.apex + low * (person.dome[side] - person.apex)
        y1 = person.apex + high * (person.dome[side] - person.apex)
        outer = person.chest_half_width(axis - (thick if low == 0 else 0)) - thick
        gap = side * (axis[None, :] - person.x) - outer[:, None]
        rows = np.clip((axis - y0) / 5 + 1, 0, 1) * np.clip((y1 - axis) / 8 + 0.5, 0, 1)
        rim = (np.clip(gap / 3.0 + 0.5, 0, 1) * rows[:, None]).astype(np.float32)
        path = 40.0 * rim * (chest.lung[side] > 0)
        chest.extra += np.float32(MU_SOFT) * path
        out.append(path)
    return out
