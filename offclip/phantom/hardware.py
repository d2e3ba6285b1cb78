"""Findings of bones, aorta and stomach, and devices; each returns one map per lesion."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from offclip.phantom.anatomy import MU_SOFT
from offclip.phantom.body import Chest, Map
from offclip.phantom.changes import grade, pick_sides
from offclip.phantom.findings import Finding
from offclip.phantom.organs import rib_rows, spine_radius
from offclip.phantom.solids import Value, add_ellipsoids, add_rods, ellipsoid, rod

Row = list[Value]
MU_METAL = 0.30
MU_CALCIUM = 0.08


def _add(chest: Chest, mu: float, *, balls: Sequence[Row] = (), rods: Sequence[Row] = ()) -> Map:
    """Add solids of coefficient ``mu`` (1/mm, above what they replace); return their path."""
    path = chest.blank()
    if balls:
        add_ellipsoids(path, chest.grid, np.array(balls))
    if rods:
        add_rods(path, chest.grid, np.array(rods))
    chest.extra += np.float32(mu) * path
    return path


def _chain(points: list[tuple[float, float]], radius: float) -> list[Row]:
    return [rod(*a, *b, radius) for a, b in pairwise(points)]


def _curve(points: list[tuple[float, float]], steps: int = 12) -> list[tuple[float, float]]:
    """Smooth polyline (Bezier curve) through the end points, drawn to the inner ones."""
    t = np.linspace(0, 1, steps)[:, None]
    layer = [np.broadcast_to(np.array(p), (steps, 2)) for p in points]
    while len(layer) > 1:
        layer = [(1 - t) * a + t * b for a, b in pairwise(layer)]
    return [(float(x), float(y)) for x, y in layer[0]]


def aortic_calcification(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Calcified rim of the aortic knob."""
    person = chest.anatomy
    x, y = person.x + 15 + person.knob * 0.62, person.apex + 79
    start, r = rng.uniform(-1.9, -1.5), person.knob * 0.92
    angles = start + np.linspace(0, grade(finding, 2.2, 2.6, 3.2), 7)
    rim = [(x + r * np.cos(t), y + r * np.sin(t)) for t in angles]
    return [_add(chest, MU_CALCIUM * 2.5, rods=_chain(rim, 2.5))]


def hiatal_hernia(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Stomach behind the heart: a round density with gas above fluid."""
    person = chest.anatomy
    r = grade(finding, 27.0, 32.0, 42.0)
    x, y = person.x + rng.uniform(6, 20), person.dome[1] - 0.55 * r
    path = _add(chest, 0.0, balls=[ellipsoid(x, y, r * 1.1, r, r)])
    chest.extra += np.float32(0.5 * MU_SOFT) * path
    gas = _add(chest, 0.0, balls=[ellipsoid(x, y - 0.1 * r, 0.85 * r, 0.75 * r, r)])
    chest.extra -= np.float32(MU_SOFT) * gas * (chest.grid.axis < y - 0.1 * r)[:, None]
    return [path]


def rib_fracture(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Healing rib fractures: callus around a gap in a posterior rib."""
    out, arcs = [], rib_rows(chest.anatomy)
    for side in pick_sides(finding, rng):
        first = 0 if side < 0 else 18
        level = int(rng.integers(3, 7))
        for rib in range(level, level + (3 if finding.multiple else 1)):
            x0, y0, a, b = arcs[first + rib, :4]
            across = rng.uniform(0.66, 0.86)
            x = x0 + side * a * across
            y = y0 + b * np.sqrt(1 - across**2)
            tilt = float(np.arctan(-side * b * across / np.sqrt(1 - across**2) / a))
            out.append(_add(chest, 0.05, balls=[ellipsoid(x, y, 11.0, 8.5, 8.0, tilt)]))
            _add(chest, -0.05, rods=[rod(x - 1, y - 7, x + 2, y + 7, 1.2)])
    return out


def degenerative_spine(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Osteophytes: beaks at both edges of the discs of the middle and lower spine."""
    person, balls = chest.anatomy, []
    size = grade(finding, 7.5, 8.5, 11.0)
    first = int(rng.integers(5, 7))
    for i in range(first, first + int(rng.integers(5, 8))):
        y = person.y - 174 + 24.0 * i
        half = float(spine_radius(person, y))
        for side in (-1, 1):
            long = size * rng.uniform(0.75, 1.2)
            balls.append(
                ellipsoid(
                    float(person.spine_x(y)) + side * (half + 0.45 * long),
                    y,
                    long,
                    3.8,
                    14.0,
                    side * 0.15,
                )
            )
    return [_add(chest, MU_CALCIUM * 0.40, balls=balls)]


def catheter(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Central venous line from the arm, the subclavian or the jugular vein to the vena cava."""
    person, out = chest.anatomy, []
    tip = (person.x - 15 + rng.uniform(-2, 2), person.apex + rng.uniform(108, 135))
    for side in pick_sides(finding, rng, 0.6):
        port = rng.random() < 0.4
        if port:
            begin = (person.x + side * 84, person.apex + 74)
        elif rng.random() < 0.5:
            begin = (person.x + side * 165, person.apex + 60)
        else:
            begin = (person.x + side * 34, person.apex - 46)
        bend = (person.x + side * 55, person.apex + (2 if side < 0 else 8))
        near = (person.x - 15 + side * 6, person.apex + 26)
        line = _chain(_curve([begin, bend, near, (person.x - 17, person.apex + 75), tip]), 1.5)
        balls = [ellipsoid(*begin, 13, 11, 3)] if port else []
        out.append(_add(chest, MU_METAL, rods=line, balls=balls))
    return out


def implanted_device(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Pacemaker: generator below the clavicle, leads to right atrium and ventricle."""
    person, out = chest.anatomy, []
    for side in pick_sides(finding, rng, 0.2):
        x, y = person.x + side * rng.uniform(84, 94), person.apex + rng.uniform(48, 60)
        balls = [ellipsoid(x, y, 24, 19, 4, side * 0.4), ellipsoid(x, y, 18, 14, 4, side * 0.4)]
        rods: list[Row] = []
        for end in ((person.x + 38, person.heart_y + 40), (person.x - 24, person.heart_y + 4)):
            rods += _chain(
                _curve(
                    [
                        (x, y),
                        (person.x + side * 60, person.apex + 14),
                        (person.x - 16, person.apex + 30),
                        (person.x - 30, person.heart_y + 18),
                        end,
                    ]
                ),
                1.3,
            )
        path = _add(chest, MU_METAL, balls=balls, rods=rods)
        out.append(np.minimum(path, np.float32(1.0)))  # so that the box holds the thin leads too
    return out


def surgical_instruments(chest: Chest, finding: Finding, rng: np.random.Generator) -> list[Map]:
    """Clips in one lung when a side is given, else sternal wires with clips."""
    person = chest.anatomy
    if finding.side is None or finding.zone == "hilum":
        rods = []
        for i in range(6):
            x, y = person.x + person.turn, person.apex + 42 + 24 * i
            rods += _chain([(x - 8, y), (x, y - 4), (x + 8, y), (x, y + 4), (x - 8, y)], 1.1)
        return [_add(chest, MU_METAL * 2.2, rods=rods)]
    out = []
    for side in pick_sides(finding, rng):
        across, down = rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.8)
        x, y = person.lung_point(side, across, down)
        rods = []
        for _ in range(int(rng.integers(4, 7))):
            cx, cy = x + rng.uniform(-16, 16), y + rng.uniform(-14, 14)
            turn = rng.uniform(0, 3.14)
            dx, dy = 4 * np.cos(turn), 4 * np.sin(turn)
            rods.append(rod(cx - dx, cy - dy, cx + dx, cy + dy, 1.4))
        out.append(_add(chest, MU_METAL * 2.2, rods=rods))
    return out
