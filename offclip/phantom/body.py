"""Draw the anatomy: soft tissue, lungs, heart, vessels, airways and bones as path lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from offclip.phantom import organs
from offclip.phantom.anatomy import MU_BONE, MU_SOFT, Anatomy, Value, gather
from offclip.phantom.solids import Grid, add_arcs, add_ellipsoids, add_rods, dome, stacked

Map = Float[np.ndarray, "height width"]
Maps = Float[np.ndarray, "*people height width"]
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


def build_chests(people: Sequence[Anatomy], grid: Grid) -> list[Chest]:
    """Draw all normal structures of each person on ``grid``, all people at a time."""
    crowd = gather(people)
    layer = _draw_layers(crowd, grid)
    heart = np.maximum(layer["heart left"], layer["heart right"])
    hila = {-1: layer["hilum right"], 1: layer["hilum left"]}
    solid = layer["aorta"] + layer["mediastinum"]
    solid += hila[-1]
    solid += hila[1]
    np.maximum(solid, heart, out=solid)
    domes = {side: dome_map(crowd, grid, side, crowd.dome[side]) for side in (-1, 1)}
    lung = {side: _lung_map(crowd, grid, side) for side in (-1, 1)}
    for side in (-1, 1):
        lung[side] -= np.maximum(domes[side], solid)
        np.maximum(lung[side], 0, out=lung[side])
    bones = layer["bones"]
    bones += np.float32(_SPINE_DENSITY) * layer["spine"]
    bones *= np.float32(MU_BONE)
    bones -= np.float32(MU_SOFT) * layer["gas"]
    body = _trunk_map(crowd, grid)
    body += layer["breasts"]
    free = lung[-1] + lung[1]
    return [
        Chest(
            anatomy=person,
            grid=grid,
            body=body[i],
            lung={side: each[i] for side, each in lung.items()},
            heart=heart[i],
            aorta=layer["aorta"][i],
            hila={side: each[i] for side, each in hila.items()},
            spine=layer["spine"][i],
            domes={side: each[i] for side, each in domes.items()},
            vessels=layer["vessels"][i],
            free=free[i],
            extra=bones[i],
        )
        for i, person in enumerate(people)
    ]


def _draw_layers(crowd: Anatomy, grid: Grid) -> dict[str, Maps]:
    """Draw all solids of a crowd in one go, each organ in its own maps."""
    balls = {
        "vessels": organs.vessel_rows(crowd),
        "hilum right": organs.hilum_rows(crowd, -1),
        "hilum left": organs.hilum_rows(crowd, 1),
        "mediastinum": organs.mediastinal_rows(crowd),
        "aorta": organs.aorta_rows(crowd),
        "gas": organs.stomach_rows(crowd),
        "bones": organs.shoulder_rows(crowd),
        "breasts": organs.breast_rows(crowd),
        "heart left": organs.heart_rows(crowd)[:, :1],
        "heart right": organs.heart_rows(crowd)[:, 1:],
    }
    rods = {"gas": organs.airway_rows(crowd), "spine": organs.spine_rows(crowd)}
    arcs = {"bones": organs.rib_rows(crowd)}
    names = list(dict.fromkeys([*balls, *rods]))
    people = len(crowd.x)
    stack = np.zeros((len(names) * people, grid.size, grid.size), dtype=np.float32)
    for parts, add in ((balls, add_ellipsoids), (rods, add_rods), (arcs, add_arcs)):
        layers = [
            np.repeat(names.index(name) * people + np.arange(people), rows.shape[1])
            for name, rows in parts.items()
        ]
        rows = [each.reshape(-1, each.shape[-1]) for each in parts.values()]
        add(stack, grid, np.concatenate(rows), np.concatenate(layers))
    return dict(zip(names, stack.reshape(len(names), people, grid.size, grid.size), strict=True))


def dome_map(person: Anatomy, grid: Grid, side: int, top: Value) -> Maps:
    """Path through a diaphragm dome with its top at ``top``, of one person or of a crowd."""
    middle = person.x + side * person.chest * 0.53
    return dome(grid, middle, top, person.chest * 0.56, person.dome_height, 1.9 * person.depth)


def _lung_map(person: Anatomy, grid: Grid, side: int) -> Maps:
    """Lung with nothing taken out: elliptic sections between the chest wall and the midline."""
    y = grid.axis
    inner, outer = person.lung_edges(y)
    t = np.clip((y - person.apex) / 150.0, 0.0, 1.0)
    depth = (0.25 + 0.6 * np.sqrt(t)) * person.depth
    inside = (y > person.apex) & (y < person.dome[side] + person.dome_height + 14)
    width = np.where(inside, (outer - inner) / 2, 0).astype(np.float32)
    centre = (person.x + side * (outer + inner) / 2).astype(np.float32)
    return stacked(grid, centre, width, depth.astype(np.float32))


def _trunk_map(person: Anatomy, grid: Grid) -> Maps:
    """Soft tissue of the trunk, neck and shoulders."""
    y = grid.axis - person.y
    trunk = person.chest + 34.0 + 10.0 * np.clip((y - 60) / 120, 0, 1)
    shoulder = 58.0 + 150.0 * np.clip((y + 178) / 62, 0, 1) ** 0.8
    width = np.minimum(shoulder, trunk + 60.0 * np.clip((-40 - y) / 60, 0, 1))
    depth = person.depth * (0.62 + 0.38 * np.clip((y + 170) / 130, 0, 1))
    centre = np.broadcast_to(person.x, width.shape).astype(np.float32)
    return stacked(grid, centre, width.astype(np.float32), depth.astype(np.float32), power=4)
