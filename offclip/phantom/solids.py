"""Closed-form line integrals through simple solids, for parallel rays along z.

All lengths are in millimetres. x grows to the right of the image (the patient's left), y grows
downwards, the origin is the image centre. Every function gives the length of the ray inside the
solid at the pixel centres, so the sum over solids of length times attenuation coefficient is the
attenuation of the ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Real = float | int | np.floating
Value = Any  # a float for one solid, an array of shape (people, 1) for one solid of each person

FIELD_MM = 330.0
_MIN_RADIUS_PX = 0.75  # thinner solids are widened to this, at equal volume (pixel aperture)
_GROUPS = (4, 12)  # half windows in pixels, drawn together; larger solids one by one


@dataclass(frozen=True)
class Grid:
    """Pixel centres in mm of a square image that shows ``FIELD_MM`` by ``FIELD_MM``."""

    size: int
    pixel: float
    axis: Float[np.ndarray, " size"]


@lru_cache(maxsize=16)
def make_grid(size: int) -> Grid:
    """Grid of ``size`` by ``size`` pixels (size >= 16)."""
    pixel = FIELD_MM / size
    axis = ((np.arange(size) + 0.5) * pixel - FIELD_MM / 2).astype(np.float32)
    axis.setflags(write=False)
    return Grid(size, pixel, axis)


def ellipsoid(
    x: Value,
    y: Value,
    long: Value,
    short: Value,
    depth: Value,
    angle: Value = 0.0,
    tilt: Value = 0.0,
) -> list[Value]:
    """One row for ``add_ellipsoids``: centre, projected semi-axes, angle, longest chord (mm, rad).

    ``long`` lies at ``angle`` from the x axis in the image plane and is tilted out of it by
    ``tilt``; ``short`` stays in the plane; ``depth`` is the third semi-axis. The silhouette of the
    tilted solid has the semi-axis sqrt((long cos)^2 + (depth sin)^2), and since the volume is
    2/3 pi * chord * (silhouette semi-axes), the longest chord is 2 long depth / silhouette.
    """
    flat = np.hypot(long * np.cos(tilt), depth * np.sin(tilt))
    return [x, y, flat, short, angle, 2.0 * long * depth / flat]


def rod(
    x0: Value, y0: Value, x1: Value, y1: Value, radius: Value, tilt: Value = 0.0
) -> list[Value]:
    """One row for ``add_rods``: a round cylinder between two projected end points (mm).

    ``tilt`` is its angle out of the image plane: the chord grows by 1 / cos(tilt).
    """
    length = np.hypot(x1 - x0, y1 - y0)
    angle = np.arctan2(y1 - y0, x1 - x0)
    chord = 2.0 * radius / np.cos(tilt)
    return [(x0 + x1) / 2, (y0 + y1) / 2, length / 2, radius, angle, chord]


def table(solids: Sequence[Sequence[Value]]) -> Float[np.ndarray, "*people solids columns"]:
    """Rows of one person or of a crowd as one array.

    Each entry lists the columns of a row; a column may hold several solids in its last axis.
    """
    parts = [np.stack(np.broadcast_arrays(*map(np.atleast_1d, row)), axis=-1) for row in solids]
    return np.concatenate(parts, axis=-2)


Canvas = Float[np.ndarray, "*layers height width"]
Rows = Float[np.ndarray, "solids 6"]
Layers = Int[np.ndarray, " solids"] | None


def add_ellipsoids(canvas: Canvas, grid: Grid, rows: Rows, layers: Layers = None) -> None:
    """Add the chords of ellipsoids (rows of ``ellipsoid``) to ``canvas`` in place.

    ``layers`` names the layer of a (layers, height, width) canvas that each solid goes to.
    """
    _add_solids(canvas, grid, rows, layers, is_rod=False)


def add_rods(canvas: Canvas, grid: Grid, rows: Rows, layers: Layers = None) -> None:
    """Add the chords of cylinders (rows of ``rod``) to ``canvas`` in place; see above."""
    _add_solids(canvas, grid, rows, layers, is_rod=True)


def _add_solids(
    canvas: np.ndarray, grid: Grid, rows: np.ndarray, layers: np.ndarray | None, *, is_rod: bool
) -> None:
    """Draw small solids together, grouped by window size, and large ones one by one."""
    if rows.size == 0:
        return
    stack = canvas.reshape(-1, grid.size, grid.size)
    layers = np.zeros(len(rows), dtype=int) if layers is None else layers
    rows = np.array(rows, dtype=np.float32)
    thin = rows[:, 3:4] if is_rod else rows[:, 2:4]
    wide = np.maximum(thin, np.float32(_MIN_RADIUS_PX * grid.pixel))
    rows[:, 5] *= np.prod(thin / wide, axis=1)
    thin[...] = wide
    cos, sin = np.abs(np.cos(rows[:, 4])), np.abs(np.sin(rows[:, 4]))
    long, short = rows[:, 2], rows[:, 3]
    if is_rod:
        reach = np.maximum(long * cos + short * sin, long * sin + short * cos)
    else:
        main = np.maximum(cos, sin)
        reach = np.sqrt((long * main) ** 2 + (short**2) * (1 - main**2))
        reach = np.maximum(reach, short)
    half = np.ceil(reach / grid.pixel + 0.5).astype(int)
    low = 0
    for high in _GROUPS if len(rows) > 3 else ():
        group = (half > low) & (half <= high)
        if group.any():
            _scatter(stack, grid, rows[group], layers[group], int(half[group].max()), is_rod)
        low = high
    for i in np.flatnonzero(half > low):
        _add_large(stack[layers[i]], grid, rows[i], int(half[i]), is_rod)


def _profile(
    u: np.ndarray, v: np.ndarray, rows: np.ndarray, pixel: float, is_rod: bool
) -> np.ndarray:
    """Chord at offsets u (x) and v (y) in mm from the centre of each solid."""
    cos, sin = np.cos(rows[:, 4])[:, None, None], np.sin(rows[:, 4])[:, None, None]
    long, short = rows[:, 2][:, None, None], rows[:, 3][:, None, None]
    across = v * (cos / short) - u * (sin / short)
    across *= across
    if is_rod:
        along = np.abs(u * cos + v * sin)
        ends = np.clip((long - along) / np.float32(pixel) + np.float32(0.5), 0, 1)
        return np.sqrt(np.maximum(1 - across, 0)) * ends * rows[:, 5][:, None, None]
    along = u * (cos / long) + v * (sin / long)
    along *= along
    across += along
    np.subtract(1, across, out=across)
    np.maximum(across, 0, out=across)
    np.sqrt(across, out=across)
    across *= rows[:, 5][:, None, None]
    return across


def _scatter(
    stack: np.ndarray, grid: Grid, rows: np.ndarray, layers: np.ndarray, half: int, is_rod: bool
) -> None:
    """Draw solids that fit in windows of 2 half + 1 pixels and add them up in a fixed order."""
    size, pixel = grid.size, grid.pixel
    offsets = np.arange(-half, half + 1)
    first = np.floor((rows[:, :2] + FIELD_MM / 2) / pixel).astype(int)
    column, line = first[:, :1] + offsets, first[:, 1:] + offsets
    u = ((column + 0.5) * pixel - FIELD_MM / 2 - rows[:, :1]).astype(np.float32)
    v = ((line + 0.5) * pixel - FIELD_MM / 2 - rows[:, 1:2]).astype(np.float32)
    chord = _profile(u[:, None, :], v[:, :, None], rows, pixel, is_rod)
    out_x, out_y = (column < 0) | (column >= size), (line < 0) | (line >= size)
    column[out_x] = line[out_y] = 0
    if out_x.any() or out_y.any():
        chord *= ~(out_x[:, None, :] | out_y[:, :, None])
    flat = (line + layers[:, None] * size)[:, :, None] * size + column[:, None, :]
    part = stack[layers.min() : layers.max() + 1]
    flat -= layers.min() * size * size
    total = np.bincount(flat.ravel(), weights=chord.ravel(), minlength=part.size)
    part += total.reshape(part.shape).astype(np.float32)


def _add_large(canvas: np.ndarray, grid: Grid, row: np.ndarray, half: int, is_rod: bool) -> None:
    """Draw one solid in its own window."""
    cols, lines = _window(row[0], half, grid), _window(row[1], half, grid)
    if cols.start >= cols.stop or lines.start >= lines.stop:
        return
    u = (grid.axis[cols] - row[0])[None, None, :]
    v = (grid.axis[lines] - row[1])[None, :, None]
    canvas[lines, cols] += _profile(u, v, row[None], grid.pixel, is_rod)[0]


def _window(centre: Real, half: int, grid: Grid) -> slice:
    middle = int(np.floor((centre + FIELD_MM / 2) / grid.pixel))
    return slice(max(0, middle - half), min(grid.size, max(0, middle + half + 1)))


def add_arcs(
    canvas: Canvas,
    grid: Grid,
    rows: Float[np.ndarray, "arcs 8"],
    layers: Int[np.ndarray, " arcs"] | None = None,
) -> None:
    """Add tubes along elliptic arcs y = y0 + b sqrt(1 - ((x - x0) / a)^2) to ``canvas``.

    Rows hold x0, y0, a, b (negative: the upper half of the ellipse), x_from, x_to, radius and a
    density factor; ``layers`` as for ``add_ellipsoids``. The tube is taken as locally straight: the
    distance of a pixel to its axis is the vertical distance times the cosine of the slope, exact
    to first order in curvature.
    """
    layers = np.zeros(len(rows), dtype=int) if layers is None else layers
    x0, y0, a, b, start, stop, radius, density = (rows[:, i : i + 1] for i in range(8))
    t = (grid.axis[None, :] - x0) / a
    inside = (np.abs(t) < 0.985) & (grid.axis >= start) & (grid.axis <= stop)
    arc, column = np.nonzero(inside)
    t = t[arc, column]
    root = np.sqrt(np.maximum(1 - t * t, 0.03))
    axis_y = y0[arc, 0] + b[arc, 0] * root
    slope = b[arc, 0] * t / root / a[arc, 0]
    cos = 1 / np.sqrt(1 + slope * slope)
    wide = np.maximum(radius[arc, 0], _MIN_RADIUS_PX * grid.pixel)
    peak = 2 * radius[arc, 0] ** 2 / wide * density[arc, 0]
    half = int(np.ceil(float(np.max(wide / cos, initial=0.0)) / grid.pixel + 0.5))
    middle = np.floor((axis_y + FIELD_MM / 2) / grid.pixel).astype(int)
    line = middle[:, None] + np.arange(-half, half + 1)
    distance = ((line + 0.5) * grid.pixel - FIELD_MM / 2 - axis_y[:, None]) * (cos / wide)[:, None]
    chord = np.sqrt(np.maximum(1 - distance * distance, 0)) * peak[:, None]
    size = grid.size
    flat = (layers[arc, None] * size + line) * size + column[:, None]
    flat = np.where((line >= 0) & (line < size), flat, canvas.size)
    total = np.bincount(flat.ravel(), weights=chord.ravel(), minlength=canvas.size + 1)
    canvas += total[:-1].reshape(canvas.shape).astype(np.float32)


def stacked(
    grid: Grid,
    centre: Float[np.ndarray, "*people height"],
    half_width: Float[np.ndarray, "*people height"],
    half_depth: Float[np.ndarray, "*people height"],
    power: int = 2,
) -> Float[np.ndarray, "*people height width"]:
    """Path through a solid whose horizontal sections are (super-)ellipses, one per image row.

    Rows of ``half_width`` <= 0 are empty. Chord: 2 depth sqrt(1 - |x - c|^p / w^p).
    """
    wide = np.maximum(half_width, 1e-3)[..., None]
    u = (grid.axis - centre[..., None]) / wide
    u *= u
    if power == 4:
        u *= u
    np.subtract(1, u, out=u)
    np.maximum(u, 0, out=u)
    np.sqrt(u, out=u)
    u *= np.where(half_width > 0, 2 * half_depth, 0)[..., None]
    return u


def dome(
    grid: Grid, x: Value, top: Value, half_width: Value, height: Value, half_depth: Value
) -> Float[np.ndarray, "*people height width"]:
    """Path through a half ellipsoid that stands on an elliptic cylinder (a diaphragm dome).

    The top of the dome is at ``top``; below ``top + height`` the section stays constant.
    """
    v = (np.minimum((grid.axis - (top + height)) / height, 0)).astype(np.float32)
    u = ((grid.axis - x) / half_width).astype(np.float32)
    inside = 1 - (v * v)[..., :, None] - (u * u)[..., None, :]
    np.maximum(inside, 0, out=inside)
    np.sqrt(inside, out=inside)
    inside *= np.asarray(2 * half_depth, dtype=np.float32)[..., None]
    return inside
