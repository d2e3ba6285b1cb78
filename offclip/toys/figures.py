"""Figures of the toy problems: tensors in, axes out, in the palette of :mod:`offclip.plotting`."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path
from torch import Tensor

from offclip.plotting import ABNORMAL, INK, LOWERED, NORMAL, RAISED, REFERENCE
from offclip.toys.circle import Trajectory, circle_logits

IMAGE_RADIUS, TEXT_RADIUS = 1.0, 1.32  # two rings, so that a pair that agrees hides nobody
ARROW_LANE = 0.17  # arrows run inside the ring of images and outside that of texts
VALUES = "cividis"  # colour map of scores; that of gradients is white at 0
SIGNED = seaborn.blend_palette([RAISED, "#f7f7f7", LOWERED], as_cmap=True)


def circle_plot(
    ax: Axes,
    images: Float[Tensor, " batch"],
    texts: Float[Tensor, " batch"],
    is_normal: Bool[Tensor, " batch"],
    *,
    on_images: Float[Tensor, " batch"] | None = None,
    on_texts: Float[Tensor, " batch"] | None = None,
    arrow: float = 1.0,
) -> Axes:
    """Images (discs, inner ring) and texts (squares, outer ring) by their angles.

    The radius only tells the two kinds apart. Arrows run along the circle.

    Args:
        ax: an axes to draw into.
        images: angles in radians.
        texts: angles in radians.
        is_normal: a flag for each pair, which sets its colour.
        on_images: forces by angle, as :func:`offclip.toys.forces` returns them; None: no arrows.
        on_texts: likewise for the texts.
        arrow: how far an arrow of force 1 reaches, in radians; arrows under a degree are left out.
    """
    turn = np.linspace(0, 2 * np.pi, 200)
    rings = ((images, on_images, IMAGE_RADIUS, "o"), (texts, on_texts, TEXT_RADIUS, "s"))
    for angles, force, radius, marker in rings:
        ax.plot(radius * np.cos(turn), radius * np.sin(turn), color="#dddddd", lw=1, zorder=0)
        x, y = radius * np.cos(angles.numpy()), radius * np.sin(angles.numpy())
        for number, normal in enumerate(is_normal.tolist()):
            _numbered_point(ax, (x[number], y[number]), number + 1, marker, normal=normal)
        if force is not None:
            lane = radius + (ARROW_LANE if marker == "s" else -ARROW_LANE)
            for angle, length in zip(angles.tolist(), (arrow * force).tolist(), strict=True):
                _arc_arrow(ax, angle, length, lane)
    ax.set(aspect="equal", xlim=(-1.65, 1.65), ylim=(-1.65, 1.65))
    ax.set_axis_off()
    return ax


def _numbered_point(
    ax: Axes, place: tuple[Any, Any], number: int, marker: str, *, normal: bool
) -> None:
    """A disc (``"o"``) is filled, any other marker is hollow."""
    colour = NORMAL if normal else ABNORMAL
    face, edge, ink = (colour, "white", "white") if marker == "o" else ("white", colour, INK)
    ax.plot(*place, marker, markersize=12, mfc=face, mec=edge, mew=1.6, zorder=3)
    ax.annotate(str(number), place, color=ink, fontsize=8, ha="center", va="center", zorder=5)


def _arc_arrow(ax: Axes, angle: float, length: float, radius: float) -> None:
    if abs(length) < np.radians(1):
        return
    arc = angle + np.linspace(0, length, 30)
    path = Path(radius * np.column_stack([np.cos(arc), np.sin(arc)]))
    style = "-|>,head_length=4,head_width=2.2"
    ax.add_patch(FancyArrowPatch(path=path, arrowstyle=style, color=INK, lw=1.6, shrinkA=0))


def cell_plot(
    ax: Axes,
    values: Float[Tensor, "batch batch"],
    is_normal: Bool[Tensor, " batch"],
    *,
    title: str,
    digits: int = 2,
    limits: tuple[float, float] | None = None,
    signed: bool = False,
) -> Axes:
    """A batch as a matrix, images in rows, texts in columns; labels take the colour of the pair.

    Args:
        ax: an axes to draw into.
        values: one number a cell.
        is_normal: a flag for each pair.
        title: above the matrix.
        digits: decimals of the numbers.
        limits: values at the ends of the colour map; default: the smallest and the largest value.
        signed: for gradients: green below 0, where a step of descent raises the score, and purple
            above; sets limits of its own.
    """
    shown = values.double().numpy().round(digits) + 0.0  # no "-0.00"
    bound = float(np.abs(shown).max())
    low, high = (-bound, bound) if signed else limits or (None, None)
    names = [str(number + 1) for number in range(len(shown))]
    seaborn.heatmap(
        shown,
        annot=True,
        fmt=f".{digits}f",
        cmap=SIGNED if signed else VALUES,
        vmin=low,
        vmax=high,
        cbar=False,
        square=True,
        linewidths=1,
        annot_kws={"fontsize": 8},
        xticklabels=names,
        yticklabels=names,
        ax=ax,
    )
    ax.tick_params(length=0, rotation=0)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        for label, normal in zip(labels, is_normal.tolist(), strict=True):
            label.set(color=NORMAL if normal else ABNORMAL, fontweight="bold")
    ax.set(xlabel="text", ylabel="image")
    ax.set_title(title, fontsize=11)
    return ax


def flow_plot(
    ax: Axes,
    gaps: Float[Tensor, " gap"],
    on_images: Float[Tensor, "text_gap image_gap"],
    on_texts: Float[Tensor, "text_gap image_gap"],
    *,
    title: str,
) -> Axes:
    """Stream lines over the gap between two images (x) and between their two texts (y), degrees.

    Args:
        ax: an axes to draw into.
        gaps: evenly spaced gaps in radians, the same for images and texts.
        on_images: speed of the image gap, as :func:`offclip.toys.pair_flow` returns it.
        on_texts: speed of the text gap.
        title: above the figure.
    """
    degrees = np.degrees(gaps.numpy())
    speed = torch.hypot(on_images, on_texts).numpy()
    ax.streamplot(
        degrees,
        degrees,
        on_images.numpy(),
        on_texts.numpy(),
        color=INK,
        density=0.9,
        linewidth=0.3 + 1.9 * speed / speed.max(),
        arrowsize=1.1,
    )
    ax.axhline(0, color=REFERENCE, lw=0.8, ls="--", zorder=0)
    ax.axvline(0, color=REFERENCE, lw=0.8, ls="--", zorder=0)
    ax.plot(0, 0, "o", color=NORMAL, markersize=9, zorder=5)
    ax.set(aspect="equal", xlabel="gap between images (°)", ylabel="gap between texts (°)")
    ax.set_title(title, fontsize=11)
    return ax


def frame_figure(
    paths: Mapping[str, Trajectory],
    is_normal: Bool[Tensor, " batch"],
    frame: int,
    *,
    logit_scale: float,
) -> Figure:
    """One frame of one or several descents: for each, the circle and the softmax of the rows.

    Args:
        paths: descents of the same length by the name of their loss, a row of panels for each.
        is_normal: a flag for each pair.
        frame: number of the frame.
        logit_scale: factor on the cosines, as in the descent.
    """
    figure, axes = plt.subplots(
        len(paths), 2, figsize=(7, 3.3 * len(paths)), layout="constrained", squeeze=False
    )
    for (circle, cells), (name, path) in zip(axes, paths.items(), strict=True):
        images, texts = path.images[frame], path.texts[frame]
        circle_plot(circle, images, texts, is_normal)
        circle.set_title(f"{name}: {path.loss[frame].item():.2f} nats", fontsize=11)
        softmax = circle_logits(images, texts, logit_scale).softmax(dim=1)
        cell_plot(cells, softmax, is_normal, title="softmax of each row", limits=(0.0, 1.0))
    return figure
