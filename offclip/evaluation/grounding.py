"""The pointing game: does the attention's peak lie in a box of the class asked for?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float


def pointing_game(
    maps: Float[np.ndarray, "image prompt row column"],
    ids: Sequence[str],
    classes: Sequence[str],
    boxes: Mapping[str, Sequence[Mapping[str, float | str]]],
    image_size: int,
) -> pd.DataFrame:
    """Hit or miss for each image and class that has a box, with the chance of a blind guess.

    A hit: the centre of the map's highest cell, in pixels, lies in any box of that class
    (RadZero's and CoNNS's rule, no tolerance). Chance: the share of cell centres that would hit.

    Args:
        maps: one map for each image and class.
        ids: image ids, in the order of ``maps``.
        classes: class names, in the order of the maps' second axis.
        boxes: image id → boxes with ``label, x_min, y_min, x_max, y_max`` in pixels.
        image_size: side of the image in pixels.

    Returns:
        Columns ``id, label, hit, chance``: a row for each image and class with a box.

    Raises:
        ValueError: the maps do not match ids or classes.
    """
    if maps.shape[:2] != (len(ids), len(classes)):
        raise ValueError(
            f"maps: expected {(len(ids), len(classes))} images and classes, got {maps.shape[:2]}"
        )
    rows, columns = maps.shape[2:]
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * image_size / rows,
        (np.arange(columns) + 0.5) * image_size / columns,
        indexing="ij",
    )
    found = []
    for i, image in enumerate(ids):
        for c, label in enumerate(classes):
            inside = np.zeros((rows, columns), dtype=bool)
            for box in boxes.get(image, ()):
                if box["label"] == label:
                    inside |= (
                        (x >= box["x_min"])
                        & (x <= box["x_max"])
                        & (y >= box["y_min"])
                        & (y <= box["y_max"])
                    )
            if any(box["label"] == label for box in boxes.get(image, ())):
                hit = bool(inside.ravel()[maps[i, c].argmax()])
                found.append((image, label, hit, float(inside.mean())))
    return pd.DataFrame(found, columns=["id", "label", "hit", "chance"])


def bootstrap_pointing(
    hits: pd.DataFrame,
    ids: Sequence[str],
    weights: Float[np.ndarray, "resample image"],
    *,
    least: int,
) -> dict[str, tuple[float, Float[np.ndarray, " resample"]]]:
    """Hit rate of each class and its resamples; ``mean`` is the mean over the classes.

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
        answers["mean"] = (float(np.mean(values)), np.nanmean(resampled, axis=0))
    return answers
