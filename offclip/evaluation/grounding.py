"""The pointing game: does the attention's peak lie in a box of the class asked for?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

Boxes = Sequence[Mapping[str, float | str]]


def pointing_game(
    maps: Float[np.ndarray, "image prompt row column"],
    ids: Sequence[str],
    classes: Sequence[str],
    boxes: Mapping[str, Boxes],
    image_size: int,
    *,
    tolerance: float = 0.0,
    first_box: bool = False,
) -> pd.DataFrame:
    """Hit or miss for each image and class that has a box, with the chance of a blind guess.

    A hit: the centre of the map's highest cell, in pixels, lies in any box of that class
    (RadZero's and CoNNS's rule, no tolerance). Chance: the share of cell centres that would hit.
    The options give other published rules: the first pointing game allows 15 pixels beside the
    object (Zhang et al. 2018), VECL 20 pixels beside the first box only. VECL's published score is
    no mean of these hits: its code counts a hit once for each box of the class and divides by the
    number of images, so the score of a perfect pointer can exceed 1. Here a hit counts once.

    Args:
        maps: one map for each image and class.
        ids: image ids, in the order of ``maps``.
        classes: class names, in the order of the maps' second axis.
        boxes: image id → boxes with ``label, x_min, y_min, x_max, y_max`` in pixels.
        image_size: side of the image in pixels.
        tolerance: pixels by which each side of a box is moved out, at least 0.
        first_box: only the first box of a class counts.

    Returns:
        Columns ``id, label, hit, chance``: a row for each image and class with a box.

    Raises:
        ValueError: the maps do not match ids or classes, or the tolerance is negative.
    """
    if maps.shape[:2] != (len(ids), len(classes)):
        raise ValueError(
            f"maps: expected {(len(ids), len(classes))} images and classes, got {maps.shape[:2]}"
        )
    if tolerance < 0:
        raise ValueError(f"tolerance: expected pixels, at least 0, got {tolerance}")
    found = []
    for i, image in enumerate(ids):
        for c, label in enumerate(classes):
            own = [box for box in boxes.get(image, ()) if box["label"] == label]
            own = own[:1] if first_box else own
            if own:
                inside = _cells_inside(own, maps.shape[2:], image_size, tolerance)
                hit = bool(inside.ravel()[maps[i, c].argmax()])
                found.append((image, label, hit, float(inside.mean())))
    return pd.DataFrame(found, columns=["id", "label", "hit", "chance"])


def boxes_without_margin(
    boxes: Mapping[str, Boxes], margin: int
) -> dict[str, list[dict[str, float | str]]]:
    """Boxes in pixels of what is left of pictures when ``margin`` is cut off at each side.

    What was cut off is outside of it.
    """
    corners = ("x_min", "y_min", "x_max", "y_max")
    return {
        image: [{**box, **{name: float(box[name]) - margin for name in corners}} for box in each]
        for image, each in boxes.items()
    }


def place_prior(
    boxes: Mapping[str, Boxes], classes: Sequence[str], grid: int, image_size: int
) -> Float[np.ndarray, "prompt row column"]:
    """How many images have the class at each cell: a map that knows places and no image.

    Args:
        boxes: of training images, as for :func:`pointing_game`.
        classes: class names; one without boxes gets zeros.
        grid: cells along one side.
        image_size: side of the image in pixels.
    """
    counts = np.zeros((len(classes), grid, grid))
    for each in boxes.values():
        for c, label in enumerate(classes):
            own = [box for box in each if box["label"] == label]
            counts[c] += _cells_inside(own, (grid, grid), image_size, 0.0)
    return counts


def _cells_inside(
    boxes: Boxes, shape: tuple[int, ...], image_size: int, tolerance: float
) -> Bool[np.ndarray, "row column"]:
    """Which cells of a map have their centre in one of the boxes."""
    rows, columns = shape
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * image_size / rows,
        (np.arange(columns) + 0.5) * image_size / columns,
        indexing="ij",
    )
    inside = np.zeros(shape, dtype=bool)
    for box in boxes:
        low = {axis: float(box[f"{axis}_min"]) - tolerance for axis in "xy"}
        high = {axis: float(box[f"{axis}_max"]) + tolerance for axis in "xy"}
        inside |= (x >= low["x"]) & (x <= high["x"]) & (y >= low["y"]) & (y <= high["y"])
    return inside


def bootstrap_pointing(
    hits: pd.DataFrame,
    ids: Sequence[str],
    weights: Float[np.ndarray, "resample image"],
    *,
    least: int,
) -> dict[str, tuple[float, Float[np.ndarray, " resample"]]]:
    """Hit rate of each class and its resamples; ``mean`` is the mean over the classes.

    A resample that lacks a class has no mean, as in :func:`offclip.evaluation.measure`: a mean over
    the other classes would be another quantity, and would count differences between classes as
    noise. An interval leaves such a resample out.

    Args:
        hits: as :func:`pointing_game` gives them.
        ids: image ids, in the order of the columns of ``weights``.
        weights: how often each image is drawn in each resample.
        least: classes with fewer cases are left out.

    Raises:
        KeyError: an image of ``hits`` is not among ``ids``.
    """
    drawn = pd.DataFrame(weights.T, index=pd.Index(ids))
    answers = {}
    for label, cases in hits.groupby("label"):
        if len(cases) >= least:
            hit, times = cases["hit"].to_numpy(dtype=float), drawn.loc[cases["id"]].to_numpy()
            with np.errstate(invalid="ignore"):
                answers[str(label)] = (float(hit.mean()), hit @ times / times.sum(axis=0))
    if answers:
        values, resampled = zip(*answers.values(), strict=True)
        answers["mean"] = (float(np.mean(values)), np.mean(resampled, axis=0))
    return answers
