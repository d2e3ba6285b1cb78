"""Toy problems of the teaching chapters: a batch on a circle, its gradient flow, its figures.

``circle`` is pure maths on tensors, ``figures`` draws them, ``scrubber`` puts a series of figures
behind a slider.
"""

from offclip.toys.circle import (
    Trajectory,
    circle_logits,
    dealt_anew,
    descend,
    forces,
    pair_flow,
    same_text,
)

__all__ = [
    "Trajectory",
    "circle_logits",
    "dealt_anew",
    "descend",
    "forces",
    "pair_flow",
    "same_text",
]
