"""Organs as rows of solids (see ``solids`` for the meaning of a row).

Each function takes one person and gives (solids, 6), or a crowd and gives (people, solids, 6).
"""

import numpy as np
from jaxtyping import Float

from offclip.phantom.anatomy import Anatomy, Levels, Value
from offclip.phantom.solids import ellipsoid, rod, table

Rows = Float[np.ndarray, "*people solids 6"]


def heart_rows(person: Anatomy) -> Rows:
    """Left and right part of the heart; the heart is the larger chord of the two."""
    width = 2 * person.chest * person.heart
    x, y = person.x + person.turn * 0.5, person.heart_y
    solids = [
        ellipsoid(x + 0.17 * width, y + 6, 0.545 * width, 0.40 * width, 62, angle=0.62),
        ellipsoid(x - 0.06 * width, y - 2, 0.45 * width + 6, 0.30 * width, 52, angle=1.75),
    ]
    return table(solids)


def aorta_rows(person: Anatomy) -> Rows:
    """Aortic knob and descending aorta."""
    x, top, knob = person.x, person.apex + 79, person.knob
    low = person.heart_y + 45
    long = (low - top) / 2 + 12
    solids = [
        ellipsoid(x + 15 + knob * 0.62, top, knob * 1.15, knob, 22, angle=1.2),
        ellipsoid(x + 14 + person.aorta_out, (top + low) / 2, long, 14, 14, angle=1.57),
    ]
    return table(solids)


def mediastinal_rows(person: Anatomy) -> Rows:
    """Pulmonary trunk and superior vena cava."""
    solids = [
        ellipsoid(person.x + 25, person.apex + 112, 23, 13, 26, angle=1.2),
        ellipsoid(person.x - 17, person.apex + 70, 36, 11.5, 20, angle=1.5),
    ]
    return table(solids)


def hilum_rows(person: Anatomy, side: int) -> Rows:
    """Hilum: two ellipsoids that meet at an obtuse angle, the left one higher."""
    size, y = person.hilum, person.apex + 124 - 4 * side
    x, depth = person.x, 11 * size
    solids = [
        ellipsoid(x + side * 34, y - 8, 17 * size, 8.5 * size, depth, angle=1.57 - side * 0.75),
        ellipsoid(x + side * 37, y + 9, 20 * size, 7.5 * size, depth, angle=1.57 + side * 0.35),
    ]
    return table(solids)


def vessel_rows(person: Anatomy) -> Rows:
    """Tapering lung vessels: chains of prolate ellipsoids that fan out from the hila.

    Drawn with the axes (people,) side, branch, step, from the hilum outwards.
    """
    branches, steps = 15, 5
    seeds = np.asarray(person.vessel_seed)
    generators = [np.random.Generator(np.random.PCG64(int(seed))) for seed in seeds.ravel()]
    drawn = np.stack([rng.standard_normal((2, branches, steps, 2)) for rng in generators])
    jitter = drawn.reshape(*seeds.shape[:-1], *drawn.shape[1:])

    def spread(value: Value) -> np.ndarray:
        return np.asarray(value)[..., None, None]

    fan = np.linspace(-1.35, 1.5, branches) + 0.10 * jitter[..., 0, 0]
    bend = 0.13 * np.cumsum(jitter[..., 1], axis=-1)
    angle = fan[..., None] + bend + 0.10 * np.arange(steps) * np.sign(fan)[..., None]
    reach = (0.62 + 0.38 * np.abs(np.sin(fan)))[..., None] * 21.0 * spread(person.chest) / 129.0
    side = np.array([-1.0, 1.0])[:, None, None]
    start_x = spread(person.x) + side * 33.0
    start_y = spread(person.apex) + 125.0 - 3.0 * side
    dx, dy = np.cos(angle) * reach * side, np.sin(angle) * reach
    x = start_x + np.cumsum(dx, axis=-1) - dx / 2
    y = start_y + np.cumsum(dy, axis=-1) - dy / 2
    taper = np.linspace(3.7, 1.0, steps) * (1 + 0.25 * jitter[..., :1, 1])
    size = spread(person.vessel) * np.where(y < start_y, spread(person.upper_vessel), 1.0)
    radius = np.maximum(np.abs(taper) * size, 0.3)
    length = np.broadcast_to(reach * 0.62, x.shape)
    rows = np.stack([x, y, length, radius, np.arctan2(dy, dx), 3 * radius], axis=-1)
    return rows.reshape(*seeds.shape[:-1], -1, 6)


def rib_rows(person: Anatomy) -> Float[np.ndarray, "*people arcs 8"]:
    """Rows of arcs: right then left, ten posterior and eight anterior ribs each; clavicles last.

    A rib is an ellipse tilted forwards: its upper half is the posterior part, its lower half the
    anterior part.
    """
    level = np.arange(10)
    y = person.apex + 22 + level * person.rib_gap
    half = person.chest_half_width(y) + 7.0
    spine = person.spine_x(y)
    ribs, clavicles = [], []
    for side in (-1, 1):
        near, far = (-190.0, -14.0) if side < 0 else (14.0, 190.0)
        ribs.append([spine, y, half, -(14.0 + 3.2 * level), spine + near, spine + far, 5.6, 0.80])
        end = person.x + side * (half * np.linspace(0.55, 0.62, 10))[..., :8]
        first, last = (-200.0, end) if side < 0 else (end, 200.0)
        low = (20.0 + 5.2 * level)[:8]
        ribs.append([person.x, y[..., :8], half[..., :8], low, first, last, 5.8, 0.62])
        near, far = (-142.0, -12.0) if side < 0 else (12.0, 142.0)
        middle, top = person.x + side * 62, person.apex + 30
        clavicles.append([middle, top, 86, -22, person.x + near, person.x + far, 6.0, 1.1])
    return table([*ribs, *clavicles])


def spine_rows(person: Anatomy) -> Rows:
    """Vertebral bodies and spinous processes: upright cylinders along the (bent) midline."""
    y = person.y - 186 + 24.0 * np.arange(16)
    top, low = person.spine_x(y - 10), person.spine_x(y + 10)
    radius = spine_radius(person, y)
    angle = np.arctan2(20.0, low - top)
    body = [(top + low) / 2, y, np.hypot(20.0, low - top) / 2, radius, angle, 2 * radius]
    process = [(top + low) / 2, y + 1.5, 5.5, 2.4, angle, 4.8]
    return table([body, process])


def spine_radius(person: Anatomy, y: Levels) -> np.ndarray:
    """Radius of the vertebral bodies, which grow downwards."""
    return np.asarray(14.0 + 0.022 * (y - person.y + 180))


def shoulder_rows(person: Anatomy) -> Rows:
    """Scapulae and humeral heads."""
    rows = []
    for side in (-1, 1):
        x, y = person.x + side * (person.chest + 14), person.apex + 62
        rows.append(ellipsoid(x, y, 62, 25, 3.4, angle=1.57 - side * 0.22))
        rows.append(ellipsoid(x - side * 15, y + 6, 64, 3.0, 7.0, angle=1.57 - side * 0.30))
        head = person.x + side * (person.chest + 47)
        rows.append(ellipsoid(head, person.apex + 34, 34, 19, 15, angle=1.57 - side * 0.3))
    return table(rows)


def airway_rows(person: Anatomy) -> Rows:
    """Trachea and main bronchi as cylinders."""
    x, carina = person.x + 2.0, person.apex + 100
    solids = [
        rod(x, person.apex - 60, x, carina, 9.5),
        rod(x, carina, x - 24, carina + 22, 6.0),
        rod(x, carina, x + 27, carina + 19, 5.5),
    ]
    return table(solids)


def stomach_rows(person: Anatomy) -> Rows:
    """Gas bubble under the left dome."""
    return table([ellipsoid(person.x + 62, person.dome[1] + 28, 26, 11, 18, angle=0.15)])


def breast_rows(person: Anatomy) -> Rows:
    """Breast shadows, of thickness zero in many people."""
    thick = np.maximum(person.breast, 0.01) / 2
    return table(
        [ellipsoid(person.x + s * 74, person.dome[s] - 14, 60, 48, thick) for s in (-1, 1)]
    )
