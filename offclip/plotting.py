"""Figures: arrays and tables in, matplotlib axes out. One style, one meaning for each colour."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

NORMAL, ABNORMAL, REFERENCE = "#0072B2", "#E69F00", "#808080"
INK = "#333333"  # values that are neither normal nor abnormal
RAISED, LOWERED = "#1b7837", "#762a83"  # what descent does to a score: gradient below, above 0
CURVES = {
    "loss_total": ("total", INK),
    "loss_off_diagonal": ("off-diagonal", "#009E73"),
    "loss_abnormal": ("abnormal", ABNORMAL),
    "normal_auc": ("normality, mean of the prompts", NORMAL),
    "abnormal_auc_pos": ("abnormal classes, mean", ABNORMAL),
}  # column of the log → name and colour
Boxes = Sequence[Mapping[str, float | str]]


STYLE = {"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False}


def use_style() -> None:
    """Set the book's style for all figures that follow."""
    seaborn.set_theme(context="notebook", style="ticks", rc=STYLE)


def contact_sheet(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str],
    *,
    boxes: Sequence[Boxes] | None = None,
    columns: int = 6,
) -> Figure:
    """Grey images in a grid, with a title and the boxes of each.

    Args:
        images: (image, height, width), 8 bit or in [0, 255].
        titles: one an image.
        boxes: for each image its boxes, in pixels.
        columns: images in a row, at least 1.

    Raises:
        ValueError: no image, or titles or boxes that are not one for each image.
    """
    given = [len(titles), len(images if boxes is None else boxes)]
    if len(images) == 0 or given != [len(images)] * 2:
        raise ValueError(
            f"titles, boxes: expected one of each for each of at least one image, "
            f"got {len(images)} images, {given[0]} titles and {given[1]} lists of boxes"
        )
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.7 * columns, 1.95 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, image, title) in enumerate(zip(axes.flat, images, titles, strict=False)):
        show_image(ax, image, boxes[number] if boxes else ())
        ax.set_title(title, fontsize=8)
    return figure


def show_image(ax: Axes, image: np.ndarray, boxes: Boxes = ()) -> Axes:
    """One grey image with its boxes."""
    height, width = image.shape
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    for box in boxes:
        left, top = float(box["x_min"]), float(box["y_min"])
        size = float(box["x_max"]) - left, float(box["y_max"]) - top
        ax.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=ABNORMAL, linewidth=1.2))
    ax.set_axis_off()
    return ax


def attention_overlay(
    ax: Axes, image: np.ndarray, attention: Float[np.ndarray, "row column"], boxes: Boxes = ()
) -> Axes:
    """An image under its attention map; a cross marks the centre of the highest cell."""
    show_image(ax, image, boxes)
    height, width = image.shape
    ax.imshow(attention, cmap="viridis", alpha=0.4, extent=(0, width, height, 0))
    row, column = np.unravel_index(attention.argmax(), attention.shape)
    rows, columns = attention.shape
    peak = (column + 0.5) * width / columns, (row + 0.5) * height / rows
    ax.plot(*peak, "X", markersize=9, color="white", markeredgecolor="black")
    return ax


def interval_plot(
    table: pd.DataFrame, *, reference: float | None = None, ax: Axes | None = None
) -> Axes:
    """A dot and its interval for each row of ``table`` (``label, value, low, high``), top down."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.8 + 0.3 * len(table)), layout="constrained")
    places = np.arange(len(table))[::-1]
    ax.hlines(places, table["low"].astype(float), table["high"].astype(float), color=INK, lw=2)
    ax.plot(table["value"], places, "o", color=INK)
    for place, value, high in zip(places, table["value"], table["high"], strict=True):
        end = max(value, float(high)) if pd.notna(high) else value
        ax.annotate(f"{value:.2f}", (end, place), (6, 0), textcoords="offset points", va="center")
    if reference is not None:
        ax.axvline(reference, color=REFERENCE, linestyle="--", linewidth=1)
    ax.set_yticks(places, table["label"])
    seaborn.despine(ax=ax)
    return ax


def class_heatmap(table: pd.DataFrame) -> Axes:
    """A row per class, a column per variant, values in [0, 1]; the smallest has the darkest colour.

    The map runs from the smallest value to 1, so that no two values share its end.
    """
    _, ax = plt.subplots(figsize=(9, 0.35 * len(table)), layout="constrained")
    seaborn.heatmap(table, annot=True, fmt=".2f", cmap="cividis", vmax=1, ax=ax)
    ax.set(xlabel="", ylabel="")
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    return ax


def prompt_strip(table: pd.DataFrame) -> Axes:
    """AUC of every normality prompt, a dot each, by variant (``label, value``), the coin at 0.5."""
    rows = list(dict.fromkeys(table["label"]))
    _, ax = plt.subplots(figsize=(7, 0.8 + 0.34 * len(rows)), layout="constrained")
    seaborn.stripplot(table, x="value", y="label", color=NORMAL, jitter=False, alpha=0.6, ax=ax)
    ax.axvline(0.5, color=REFERENCE, linestyle="--", linewidth=1)
    ax.set(xlabel="AUC as a test for normality, one dot a prompt", ylabel="", xlim=(0, 1.02))
    seaborn.despine(ax=ax)
    return ax


def score_distribution(
    scores: Float[np.ndarray, " image"],
    is_normal: Bool[np.ndarray, " image"],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Densities of the scores of normal and abnormal images, labelled at their peaks.

    Raises:
        ValueError: fewer than two different scores among the normal or the abnormal images.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    kinds = ((is_normal, NORMAL, "normal"), (~is_normal, ABNORMAL, "abnormal"))
    for chosen, colour, name in kinds:
        if len(np.unique(scores[chosen])) < 2:
            raise ValueError(
                f"scores: expected at least two different values among the {name} images, "
                f"got {np.unique(scores[chosen]).tolist()} from {chosen.sum()} images; "
                "give more images"
            )
        seaborn.kdeplot(x=scores[chosen], color=colour, fill=True, alpha=0.25, ax=ax)
        line = np.asarray(ax.collections[-1].get_paths()[0].vertices)
        x, y = line[line[:, 1].argmax()]
        ax.annotate(name, (x, y), (0, 3), textcoords="offset points", color=colour, ha="center")
    ax.set(ylabel="", yticks=[])
    ax.margins(y=0.15)
    seaborn.despine(ax=ax, left=True)
    return ax


def sentence_strips(reports: Sequence[Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """One row a report, one cell a sentence, coloured by its probability of being abnormal.

    Args:
        reports: probabilities in [0, 1], in the order of the sentences; at least one report.
    """
    longest = max(map(len, reports))
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.8 + 0.11 * len(reports)), layout="constrained")
    grid = np.full((len(reports), longest), np.nan)
    for row, values in enumerate(reports):
        grid[row, : len(values)] = values
    colours = seaborn.blend_palette([NORMAL, "#f2f2f2", ABNORMAL], as_cmap=True)
    mesh = ax.pcolormesh(grid, cmap=colours, vmin=0, vmax=1, edgecolor="white", linewidth=0.8)
    ax.figure.colorbar(mesh, ax=ax, label="P(abnormal)", aspect=30)
    ax.set(xlabel="sentence of the report", ylabel="report", yticks=[])
    ax.invert_yaxis()
    seaborn.despine(ax=ax, left=True, bottom=True)
    return ax


def reliability_plot(
    abnormal: Float[np.ndarray, " sentence"],
    probabilities: Float[np.ndarray, " sentence"],
    weights: Float[np.ndarray, " sentence"],
    *,
    bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Share of abnormal sentences against the mean probability, in bins of equal weight.

    Args:
        abnormal: 1 for abnormal, 0 for normal.
        probabilities: of abnormal, in [0, 1].
        weights: sentences that each one stands for, above 0.
        bins: at least 1.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 4), layout="constrained")
    table = pd.DataFrame({"p": probabilities, "y": abnormal, "w": weights}).sort_values("p")
    middle = table["w"].cumsum() - table["w"] / 2
    table["bin"] = np.minimum(bins * middle / table["w"].sum(), bins - 1).astype(int)
    means = table.groupby("bin")[["p", "y"]].apply(
        lambda each: pd.Series(np.average(each, axis=0, weights=table.loc[each.index, "w"]))
    )
    ax.plot([0, 1], [0, 1], color=REFERENCE, linestyle="--", linewidth=1)
    ax.plot(means[0], means[1], marker="o", color=ABNORMAL)
    ax.set(xlabel="mean probability", ylabel="share that is abnormal", xlim=(0, 1), ylim=(0, 1))
    seaborn.despine(ax=ax)
    return ax


def training_curves(log: pd.DataFrame) -> Figure:
    """Loss terms and validation AUC by step; ``log`` as :meth:`offclip.study.Run.log` gives it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for ax, columns, name in (
        (left, [c for c in log if c.startswith("loss_")], "loss (nats)"),
        (right, ["normal_auc", "abnormal_auc_pos"], "AUC on validation"),
    ):
        for column in columns:
            label, colour = CURVES.get(column, (column.removeprefix("loss_"), None))
            ax.plot(log["step"], log[column], marker="o", label=label, color=colour)
        ax.set(xlabel="step", ylabel=name)
        ax.legend(frameon=False, fontsize=9)
        seaborn.despine(ax=ax)
    return figure


def counts_bar(counts: pd.Series, *, color: str = ABNORMAL, ax: Axes | None = None) -> Axes:
    """Horizontal bars with the counts written at their ends."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.8 + 0.26 * len(counts)), layout="constrained")
    names = counts.index.astype(str)
    seaborn.barplot(x=counts.to_numpy(), y=names, color=color, saturation=1, ax=ax)
    ax.bar_label(ax.containers[0], padding=3, fontsize=9)  # type: ignore[arg-type]
    ax.set(xlabel="", ylabel="")
    seaborn.despine(ax=ax)
    return ax
