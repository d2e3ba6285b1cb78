"""Draw the anatomy: soft tissue, lungs, heart, vessels, airways and bones as path lengths."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from offclip.phantom import organs
from offclip.phantom.anatomy import MU_BONE, MU_SOFT, Anatomy
from offclip.phantom.solids import Grid, add_arcs, add_ellipsoids, add_rods, dome, stacked

Rows = list[organs.Row] | np.ndarray
Map = Float[np.ndarray, "height width"]
_SPINE_DENSITY = 0.6  # vertebrae are mostly spongy bone


@dataclass
class Chest:
    """Path lengths in mm of one chest; ``extra`` collects other attenuation (no unit)."""

    anatomy: Anatomy
    grid: Grid
    body: Map
    lung: dict[int, Map]  # air-filled lung of each side
    heart: Map
    aorta: Map
    hila: dict[int, Map]
    spine: Map
    domes: dict[int, Map]
    vessels: Map
    free: Map  # lung that no lesion has filled yet
    extra: Map

    def blank(self) -> Map:
        """A map of zeros."""
        return np.zeros((self.grid.size, self.grid.size), dtype=np.float32)

    def attenuation(self) -> Map:
        """Total attenuation (no unit): sum of coefficient times path over all parts."""
        person = self.anatomy
        air = self.lung[-1] + self.lung[1]
        air -= np.minimum(self.vessels, air)
        air *= np.float32(MU_SOFT - person.lung_mu)
        total = self.body * np.float32(MU_SOFT)
        total -= air
        total += self.extra
        return np.maximum(total, 0, out=total)


def build_chest(person: Anatomy, grid: Grid) -> Chest:
    """Draw all normal structures of ``person`` on ``grid``."""
    layer = _draw_layers(person, grid)
    heart = np.maximum(layer["heart left"], layer["heart right"])
    hila = {-1: layer["hilum right"], 1: layer["hilum left"]}
    solid = layer["aorta"] + layer["mediastinum"]
    solid += hila[-1]
    solid += hila[1]
    np.maximum(solid, heart, out=solid)
    domes = {side: dome_map(person, grid, side, person.dome[side]) for side in (-1, 1)}
    lung = {side: _lung_map(person, grid, side) for side in (-1, 1)}
    for side in (-1, 1):
        lung[side] -= np.maximum(domes[side], solid)
        np.maximum(lung[side], 0, out=lung[side])
    bones, spine = layer["bones"], layer["spine"]
    add_arcs(bones, grid, organs.rib_rows(person))
    bones += np.float32(_SPINE_DENSITY) * spine
    bones *= np.float32(MU_BONE)
    bones -= np.float32(MU_SOFT) * layer["gas"]
    body = _trunk_map(person, grid)
    body += layer["breasts"]
    return Chest(
        person,
        grid,
        body,
        lung,
        heart,
        layer["aorta"],
        hila,
        spine,
        domes,
        layer["vessels"],
        lung[-1] + lung[1],
        bones,
    )


def _draw_layers(person: Anatomy, grid: Grid) -> dict[str, Map]:
    """Draw all ellipsoids and cylinders in one go, each organ in its own map."""
    balls: dict[str, Rows] = {
        "vessels": organs.vessel_rows(person),
        "hilum right": organs.hilum_rows(person, -1),
        "hilum left": organs.hilum_rows(person, 1),
        "mediastinum": organs.mediastinal_rows(person),
        "aorta": organs.aorta_rows(person),
        "gas": organs.stomach_rows(person),
        "bones": organs.shoulder_rows(person),
        "breasts": organs.breast_rows(person),
        "heart left": organs.heart_rows(person)[:1],
        "heart right": organs.heart_rows(person)[1:],
    }
    rods: dict[str, Rows] = {"gas": organs.airway_rows(person), "spine": organs.spine_rows(person)}
    names = list(dict.fromkeys([*balls, *rods]))
    stack = np.zeros((len(names), grid.size, grid.size), dtype=np.float32)
    for parts, add in ((balls, add_ellipsoids), (rods, add_rods)):
        counts = [len(rows) for rows in parts.values()]
        layers = np.repeat([names.index(name) for name in parts], counts)
        add(stack, grid, np.concatenate(list(parts.values())), layers)
    return dict(zip(names, stack, strict=True))


def dome_map(person: Anatomy, grid: Grid, side: int, top: float) -> Map:
    """Path through a diaphragm dome with its top at ``top``."""
    middle = person.x + side * person.chest * 0.53
    return dome(grid, middle, top, person.chest * 0.56, person.dome_height, 1.9 * person.depth)


def _lung_map(person: Anatomy, grid: Grid, side: int) -> Map:
    """Lung with nothing taken out: elliptic sections between the chest wall and the midline."""
    y = grid.axis
    inner, outer = person.lung_edges(y)
    t = np.clip((y - person.apex) / 150.0, 0.0, 1.0)
    depth = (0.25 + 0.6 * np.sqrt(t)) * person.depth
    inside = (y > person.apex) & (y < person.dome[side] + person.dome_height + 14)
    width = np.where(inside, (outer - inner) / 2, 0).astype(np.float32)
    centre = (person.x + side * (outer + inner) / 2).astype(np.float32)
    return stacked(grid, centre, width, depth.astype(np.float32))


def _trunk_map(person: Anatomy, grid: Grid) -> Map:
    """Soft tissue of the trunk, neck and shoulders."""
    y = grid.axis - person.y
    trunk = person.chest + 34.0 + 10.0 * np.clip((y - 60) / 120, 0, 1)
    shoulder = 58.0 + 150.0 * np.clip((y + 178) / 62, 0, 1) ** 0.8
    width = np.minimum(shoulder, trunk + 60.0 * np.clip((-40 - y) / 60, 0, 1))
    depth = person.depth * (0.62 + 0.38 * np.clip((y + 170) / 130, 0, 1))
    centre = np.full(grid.size, person.x, dtype=np.float32)
    return stacked(grid, centre, width.astype(np.float32), depth.astype(np.float32), power=4)
