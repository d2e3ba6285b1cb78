"""Closed-form chords against numerical integration along the ray."""

import numpy as np
import pytest

from offclip.phantom.solids import (
    add_arcs,
    add_ellipsoids,
    add_rods,
    dome,
    ellipsoid,
    make_grid,
    rod,
    stacked,
)

GRID = make_grid(64)
Z = np.linspace(-200, 200, 8001)
STEP = Z[1] - Z[0]


def canvas() -> np.ndarray:
    return np.zeros((64, 64), dtype=np.float32)


def points(path: np.ndarray, count: int = 25) -> list[tuple[int, int]]:
    """Some pixels inside the solid and some near it."""
    lines, columns = np.nonzero(path > 0)
    picks = np.random.default_rng(0).integers(0, len(lines), count)
    inside = list(zip(lines[picks], columns[picks], strict=True))
    return [*inside, (2, 2), (60, 5)]


@pytest.mark.parametrize(("angle", "tilt"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.6), (-1.1, 0.9)])
def test_ellipsoid_equals_integral_along_the_ray(angle: float, tilt: float) -> None:
    long, short, depth, x0, y0 = 60.0, 25.0, 32.0, 12.0, -20.0
    path = canvas()
    add_ellipsoids(path, GRID, np.array([ellipsoid(x0, y0, long, short, depth, angle, tilt)]))
    for line, column in points(path):
        x, y = GRID.axis[column] - x0, GRID.axis[line] - y0
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        u = along * np.cos(tilt) + Z * np.sin(tilt)
        w = -along * np.sin(tilt) + Z * np.cos(tilt)
        inside = (u / long) ** 2 + (across / short) ** 2 + (w / depth) ** 2 < 1
        assert path[line, column] == pytest.approx(inside.sum() * STEP, abs=3 * STEP)


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_rod_equals_integral_along_the_ray(tilt: float) -> None:
    radius, angle = 14.0, 0.4
    x1, y1 = 90 * np.cos(angle), 90 * np.sin(angle)
    path = canvas()
    add_rods(path, GRID, np.array([rod(-x1, -y1, x1, y1, radius, tilt)]))
    for line, column in points(path):
        x, y = GRID.axis[column], GRID.axis[line]
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        if abs(along) > 70:
            continue
        w = -along * np.sin(tilt) + Z * np.cos(tilt)
        inside = across**2 + w**2 < radius**2
        assert path[line, column] == pytest.approx(inside.sum() * STEP, abs=3 * STEP)


def test_arc_is_the_chord_of_a_tube_along_the_ellipse() -> None:
    a, b, radius = 130.0, 45.0, 8.0
    path = canvas()
    add_arcs(path, GRID, np.array([[3.0, 10.0, a, b, -200.0, 200.0, radius, 1.0]]))
    angle = np.linspace(0, np.pi, 4001)
    curve = np.stack([3.0 + a * np.cos(angle), 10.0 + b * np.sin(angle)], axis=1)
    for line, column in points(path):
        if abs(GRID.axis[column] - 3.0) > 100:  # the ends are steep: first order only
            continue
        pixel = np.array([GRID.axis[column], GRID.axis[line]])
        distance = np.min(np.hypot(*(curve - pixel).T))
        inside = distance**2 + Z**2 < radius**2
        assert path[line, column] == pytest.approx(inside.sum() * STEP, abs=0.9)


def test_stacked_and_dome_equal_integrals() -> None:
    wide = np.linspace(20, 90, 64).astype(np.float32)
    deep = np.linspace(30, 60, 64).astype(np.float32)
    centre = np.linspace(-10, 10, 64).astype(np.float32)
    for power in (2, 4):
        path = stacked(GRID, centre, wide, deep, power)
        for line, column in points(path):
            u = (GRID.axis[column] - centre[line]) / wide[line]
            inside = np.abs(u) ** power + (Z / deep[line]) ** 2 < 1
            assert path[line, column] == pytest.approx(inside.sum() * STEP, abs=3 * STEP)
    path = dome(GRID, 20.0, 30.0, 70.0, 45.0, 90.0)
    for line, column in points(path):
        v = min((GRID.axis[line] - 75.0) / 45.0, 0.0)
        u = (GRID.axis[column] - 20.0) / 70.0
        inside = u**2 + v**2 + (Z / 90.0) ** 2 < 1
        assert path[line, column] == pytest.approx(inside.sum() * STEP, abs=3 * STEP)


def test_drawing_together_equals_drawing_alone_also_beyond_the_border() -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([rng.uniform(-190, 190, 80), rng.uniform(-190, 190, 80),
                     rng.uniform(1, 60, 80), rng.uniform(1, 20, 80),
                     rng.uniform(-3, 3, 80), rng.uniform(1, 9, 80)], axis=1)  # fmt: skip
    for add in (add_ellipsoids, add_rods):
        together, alone = canvas(), canvas()
        add(together, GRID, rows)
        for row in rows:
            add(alone, GRID, row[None])
        np.testing.assert_allclose(together, alone, atol=2e-3)


def test_layers_keep_solids_apart() -> None:
    rows = np.array([ellipsoid(x, 0, 12, 8, 5) for x in (-60, -20, 20, 60)])
    stack = np.zeros((3, 64, 64), dtype=np.float32)
    add_ellipsoids(stack, GRID, rows, np.array([0, 2, 2, 0]))
    alone = canvas()
    add_ellipsoids(alone, GRID, rows[1:3])
    np.testing.assert_allclose(stack[2], alone, atol=1e-4)
    assert not stack[1].any()


@pytest.mark.parametrize("size", [64, 128, 256])
def test_thin_solids_keep_their_volume_at_every_size(size: int) -> None:
    grid = make_grid(size)
    path = np.zeros((size, size), dtype=np.float32)
    add_ellipsoids(path, grid, np.array([ellipsoid(1.0, 2.0, 1.5, 1.5, 1.5)] * 5))
    volume = 5 * 4 / 3 * np.pi * 1.5**3
    assert float(path.sum()) * grid.pixel**2 == pytest.approx(volume, rel=0.25)
