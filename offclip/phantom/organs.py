"""Organs of one person as rows of solids (see ``solids`` for the meaning of a row)."""

import numpy as np

from offclip.phantom.anatomy import Anatomy
from offclip.phantom.solids import Real, ellipsoid, rod

Row = list[Real]


def heart_rows(person: Anatomy) -> list[Row]:
    """Left and right part of the heart; the heart is the larger chord of the two."""
    width = 2 * person.chest * person.heart
    x, y = person.x + person.turn * 0.5, person.heart_y
    return [
        ellipsoid(x + 0.17 * width, y + 6, 0.545 * width, 0.40 * width, 62, angle=0.62),
        ellipsoid(x - 0.06 * width, y - 2, 0.45 * width + 6, 0.30 * width, 52, angle=1.75),
    ]


def aorta_rows(person: Anatomy) -> list[Row]:
    """Aortic knob and descending aorta."""
    x, top, knob = person.x, person.apex + 79, person.knob
    low = person.heart_y + 45
    long = (low - top) / 2 + 12
    return [
        ellipsoid(x + 15 + knob * 0.62, top, knob * 1.15, knob, 22, angle=1.2),
        ellipsoid(x + 14 + person.aorta_out, (top + low) / 2, long, 14, 14, angle=1.57),
    ]


def mediastinal_rows(person: Anatomy) -> list[Row]:
    """Pulmonary trunk and superior vena cava."""
    return [
        ellipsoid(person.x + 25, person.apex + 112, 23, 13, 26, angle=1.2),
        ellipsoid(person.x - 17, person.apex + 70, 36, 11.5, 20, angle=1.5),
    ]


def hilum_rows(person: Anatomy, side: int) -> list[Row]:
    """Hilum: two ellipsoids that meet at an obtuse angle, the left one higher."""
    size, y = person.hilum, person.apex + 124 - 4 * side
    x, depth = person.x, 11 * size
    return [
        ellipsoid(x + side * 34, y - 8, 17 * size, 8.5 * size, depth, angle=1.57 - side * 0.75),
        ellipsoid(x + side * 37, y + 9, 20 * size, 7.5 * size, depth, angle=1.57 + side * 0.35),
    ]


def vessel_rows(person: Anatomy) -> np.ndarray:
    """Tapering lung vessels: chains of prolate ellipsoids that fan out from the hila."""
    rng = np.random.Generator(np.random.PCG64(person.vessel_seed))
    branches, steps = 15, 5
    jitter = rng.standard_normal((2, branches, steps, 2))
    fan = np.linspace(-1.35, 1.5, branches)[None, :] + 0.10 * jitter[:, :, 0, 0]
    bend = 0.13 * np.cumsum(jitter[..., 1], axis=2)
    angle = fan[..., None] + bend + 0.10 * np.arange(steps) * np.sign(fan)[..., None]
    reach = (0.62 + 0.38 * np.abs(np.sin(fan)))[..., None] * 21.0 * person.chest / 129.0
    side = np.array([-1.0, 1.0])[:, None, None]
    start_x = person.x + side * 33.0
    start_y = person.apex + 125.0 - 3.0 * side
    dx, dy = np.cos(angle) * reach * side, np.sin(angle) * reach
    x = start_x + np.cumsum(dx, axis=2) - dx / 2
    y = start_y + np.cumsum(dy, axis=2) - dy / 2
    taper = np.linspace(3.7, 1.0, steps) * (1 + 0.25 * jitter[:, :, :1, 1])
    size = person.vessel * np.where(y < start_y, person.upper_vessel, 1.0)
    radius = np.maximum(np.abs(taper) * size, 0.3)
    length = np.broadcast_to(reach * 0.62, x.shape)
    return np.stack([x, y, length, radius, np.arctan2(dy, dx), 3 * radius], axis=-1).reshape(-1, 6)


def rib_rows(person: Anatomy) -> np.ndarray:
    """Rows of arcs: right then left, ten posterior and eight anterior ribs each; clavicles last.

    A rib is an ellipse tilted forwards: its upper half is the posterior part, its lower half the
    anterior part.
    """
    level = np.arange(10)
    y = person.apex + 22 + level * person.rib_gap
    half = person.chest_half_width(y) + 7.0
    spine = person.spine_x(y)
    rows = np.empty((38, 8))
    for first, side in ((0, -1), (18, 1)):
        back, front = rows[first : first + 10], rows[first + 10 : first + 18]
        back[:, 0], back[:, 1], back[:, 2] = spine, y, half
        back[:, 3] = -(14.0 + 3.2 * level)
        near, far = sorted((side * 14.0, side * 190.0))
        back[:, 4], back[:, 5] = spine + near, spine + far
        back[:, 6], back[:, 7] = 5.6, 0.80
        end = person.x + side * (half * np.linspace(0.55, 0.62, 10))[:8]
        front[:, 0], front[:, 1], front[:, 2] = person.x, y[:8], half[:8]
        front[:, 3] = (20.0 + 5.2 * level)[:8]
        front[:, 4], front[:, 5] = (-200.0, end) if side < 0 else (end, 200.0)
        front[:, 6], front[:, 7] = 5.8, 0.62
        near, far = sorted((person.x + side * 12, person.x + side * 142))
        rows[36 if side < 0 else 37] = (
            person.x + side * 62,
            person.apex + 30,
            86,
            -22,
            near,
            far,
            6.0,
            1.1,
        )
    return rows


def spine_rows(person: Anatomy) -> np.ndarray:
    """Vertebral bodies and spinous processes: upright cylinders along the (bent) midline."""
    y = person.y - 186 + 24.0 * np.arange(16)
    top, low = person.spine_x(y - 10), person.spine_x(y + 10)
    radius = spine_radius(person, y)
    angle = np.arctan2(20.0, low - top)
    body = [(top + low) / 2, y, np.hypot(20.0, low - top) / 2, radius, angle, 2 * radius]
    thin = np.full(16, 2.4)
    process = [(top + low) / 2, y + 1.5, np.full(16, 5.5), thin, angle, 2 * thin]
    return np.concatenate([np.stack(body, axis=1), np.stack(process, axis=1)])


def spine_radius(person: Anatomy, y: np.ndarray | float) -> np.ndarray:
    """Radius of the vertebral bodies, which grow downwards."""
    return np.asarray(14.0 + 0.022 * (y - person.y + 180))


def shoulder_rows(person: Anatomy) -> list[Row]:
    """Scapulae and humeral heads."""
    rows = []
    for side in (-1, 1):
        x, y = person.x + side * (person.chest + 14), person.apex + 62
        rows.append(ellipsoid(x, y, 62, 25, 3.4, angle=1.57 - side * 0.22))
        rows.append(ellipsoid(x - side * 15, y + 6, 64, 3.0, 7.0, angle=1.57 - side * 0.30))
        head = person.x + side * (person.chest + 47)
        rows.append(ellipsoid(head, person.apex + 34, 34, 19, 15, angle=1.57 - side * 0.3))
    return rows


def airway_rows(person: Anatomy) -> list[Row]:
    """Trachea and main bronchi as cylinders."""
    x, carina = person.x + 2.0, person.apex + 100
    return [
        rod(x, person.apex - 60, x, carina, 9.5),
        rod(x, carina, x - 24, carina + 22, 6.0),
        rod(x, carina, x + 27, carina + 19, 5.5),
    ]


def stomach_rows(person: Anatomy) -> list[Row]:
    """Gas bubble under the left dome."""
    return [ellipsoid(person.x + 62, person.dome[1] + 28, 26, 11, 18, angle=0.15)]


def breast_rows(person: Anatomy) -> list[Row]:
    """Breast shadows, of thickness zero in many people."""
    thick = max(person.breast, 0.01) / 2
    return [ellipsoid(person.x + s * 74, person.dome[s] - 14, 60, 48, thick) for s in (-1, 1)]
