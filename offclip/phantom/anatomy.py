"""Random chest anatomy: the parameters of one person and one exposure.

All lengths in mm, attenuation coefficients in 1/mm. ``side`` is -1 for the patient's right (left
of the image) and +1 for the patient's left. The ranges keep a normal person clearly normal: the
heart takes 0.40 to 0.47 of the chest width, the right dome lies near the tenth posterior rib.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

Levels = Float[np.ndarray, "*people levels"] | float  # heights y in mm
Value = Any  # a float for one person, an array of shape (people, 1) for a crowd

MU_SOFT = 0.0205
MU_LUNG = 0.0056
MU_BONE = 0.019  # above soft tissue

SIDES = {"right": -1, "left": 1}


@dataclass
class Anatomy:
    """Mutable parameters of one chest; findings that change the anatomy edit them.

    Its functions, and those of ``organs``, also work on a crowd (see ``gather``): everything then
    has one more axis in front, one entry a person.
    """

    x: Value  # midline at the level of the heart
    y: Value  # vertical shift of the chest
    chest: Value  # half width of the rib cage, inner side
    apex: Value  # y of the lung apex
    dome: dict[int, Value]  # y of the top of each diaphragm dome
    normal_dome: dict[int, Value]  # the same before any finding
    dome_height: Value  # height of the dome above the costophrenic angle
    heart: Value  # heart width as a fraction of the chest width
    heart_y: Value  # centre of the heart
    depth: Value  # half depth of the body at the chest
    turn: Value  # rotation: shift of front structures against the spine
    bend: Value  # scoliosis: largest sideways shift of the spine
    bend_y: Value  # level of the largest shift
    lung_mu: Value
    knob: Value  # radius of the aortic knob
    aorta_out: Value  # sideways bulge of the descending aorta
    hilum: Value  # size factor of hila
    vessel: Value  # size factor of lung vessels
    upper_vessel: Value  # size factor of the upper vessels against the lower ones
    rib_gap: Value
    breast: Value  # thickness of breast shadows
    exposure: Value  # photons relative to the nominal exposure
    vessel_seed: Value = 0

    def spine_x(self, y: Levels) -> np.ndarray | np.floating:
        """Sideways position of the spine at level y."""
        return self.x - self.turn + self.bend * np.exp(-(((y - self.bend_y) / 62.0) ** 2))

    def chest_half_width(self, y: Levels) -> np.ndarray:
        """Inner half width of the rib cage at level y: narrow at the apex, widest low down."""
        t = np.clip((np.asarray(y) - self.apex) / 200.0, 0.0, 1.0)
        grown = 40.0 + (self.chest - 40.0) * (1 - (1 - t) ** 2.6) ** 0.6
        return np.where(np.asarray(y) < self.apex, 0.0, grown)

    def lung_edges(self, y: Levels) -> tuple[np.ndarray, np.ndarray]:
        """Distances of the medial and lateral lung border from the midline at level y."""
        t = np.clip((np.asarray(y) - self.apex) / 48.0, 0.0, 1.0)
        inner = 40.0 - 22.0 * np.sqrt(1 - (1 - t) ** 2)
        outer = self.chest_half_width(y)
        return np.asarray(np.minimum(inner, outer)), outer

    def lung_point(self, side: int, across: Any, down: Any) -> tuple[Any, Any]:
        """Points in a lung: across 0 (medial) to 1 (lateral), down 0 (apex) to 1 (dome)."""
        y = self.apex + down * (self.dome[side] - self.apex)
        inner, outer = self.lung_edges(y)
        return self.x + side * (inner + across * (outer - inner)), y


def gather(people: Sequence[Anatomy]) -> Anatomy:
    """The crowd of these people: each value becomes an array of shape (people, 1)."""

    def column(values: Sequence[Value]) -> Value:
        if isinstance(values[0], dict):
            return {side: column([each[side] for each in values]) for side in values[0]}
        return np.array(values)[:, None]

    names = [field.name for field in fields(Anatomy)]
    return Anatomy(**{name: column([getattr(each, name) for each in people]) for name in names})


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a normal chest. Uses a fixed number of random values."""
    u = rng.uniform(-1.0, 1.0, 24)
    scale = 1 + 0.05 * u[0]
    y = 12.0 + 6.0 * u[1]
    right_dome = 66.0 * scale + y + 7.0 * u[2]
    domes = {-1: right_dome, 1: right_dome + 9.0 + 4.0 * u[5]}
    return Anatomy(
        x=5.0 * u[3],
        y=y,
        chest=129.0 * scale * (1 + 0.03 * u[4]),
        apex=-132.0 * scale + y,
        dome=domes,
        normal_dome=dict(domes),
        dome_height=44.0 + 6.0 * u[6],
        heart=0.435 + 0.03 * u[7],
        heart_y=right_dome - 31.0,
        depth=100.0 * scale * (1 + 0.08 * u[8]),
        turn=4.0 * u[9],
        bend=2.0 * u[10],
        bend_y=-20.0 + 30.0 * u[11],
        lung_mu=MU_LUNG * (1 + 0.08 * u[12]),
        knob=15.5 + 1.8 * u[13],
        aorta_out=2.0 * u[14],
        hilum=1 + 0.12 * u[15],
        vessel=1 + 0.12 * u[16],
        upper_vessel=0.75,
        rib_gap=25.0 * scale * (1 + 0.05 * u[17]),
        breast=max(0.0, 26.0 * u[18]),
        exposure=float(np.exp(0.35 * u[19])),
        vessel_seed=int(rng.integers(2**62)),
    )
