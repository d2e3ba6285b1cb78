"""The pointing game: does the attention's peak lie in a box of the prompt's class?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from offclip.evaluation.bootstrap import Resampled, mean_of
from offclip.evaluation.maps import attention_maps
from offclip.evaluation.scoring import Images, positive_prompt
from offclip.models import PairModel

Boxes = Sequence[Mapping[str, float | str]]


def point(
    model: PairModel,
    images: Images,
    ids: Sequence[str],
    phrases: Mapping[str, str],
    boxes: Mapping[str, Boxes],
    *,
    kind: str = "attention",
) -> pd.DataFrame:
    """The pointing game of a model, with the positive prompt of each class.

    Args:
        model: is put into eval mode.
        images: as for :func:`offclip.evaluation.attention_maps`.
        ids: of the images.
        phrases: class name → the words after "there is"; boxes of other labels do not count.
        boxes: by image id, in pixels of images of the model's ``picture_size``.
        kind: of the map, see :func:`offclip.evaluation.attention_maps`.

    Returns:
        See :func:`pointing_game`.
    """
    prompts = [positive_prompt(phrase) for phrase in phrases.values()]
    maps = attention_maps(model, images, prompts, kind=kind)
    inner = boxes_without_margin(boxes, model.margin)
    return pointing_game(maps, ids, list(phrases), inner, model.picture_size - 2 * model.margin)


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
    """Hit or miss for each image and class that has a box, with the chance of a random cell.

    A hit: the centre of the map's highest cell, in pixels, lies in any box of that class
    (RadZero's and CoNNS's rule, no tolerance). Chance: the share of cell centres that would hit.
    The options give other published rules: the first pointing game allows 15 pixels around the
    object (Zhang et al. 2018), VECL 20 pixels around the first box only. VECL's published score is
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
    rows = []
    for i, image in enumerate(ids):
        for c, label in enumerate(classes):
            own = [box for box in boxes.get(image, ()) if box["label"] == label]
            own = own[:1] if first_box else own
            if own:
                inside = _cells_inside(own, maps.shape[2:], image_size, tolerance)
                hit = bool(inside.ravel()[maps[i, c].argmax()])
                rows.append((image, label, hit, float(inside.mean())))
    return pd.DataFrame(rows, columns=["id", "label", "hit", "chance"])


def boxes_without_margin(
    boxes: Mapping[str, Boxes], margin: int
) -> dict[str, list[dict[str, float | str]]]:
    """Boxes in pixels of what is left of images when ``margin`` is cut off at each side.

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


@dataclass(frozen=True)
class Pointing:
    """Hit rates of the classes that have enough boxed images; ``mean`` is the mean over them.

    Attributes:
        rates: hit rate and its resamples by class.
        chance: hit rate of a random cell by class.
        counts: images behind each class; behind the mean, pairs of image and class.
        left_out: images of the classes that have too few.
    """

    rates: dict[str, Resampled]
    chance: dict[str, float]
    counts: dict[str, int]
    left_out: dict[str, int]


def measure_pointing(
    hits: pd.DataFrame,
    ids: Sequence[str],
    weights: Float[np.ndarray, "resample image"],
    *,
    least: int,
) -> Pointing:
    """Hit rate of each class with its resamples, and its chance level.

    A resample that lacks a class has no mean, as in :func:`offclip.evaluation.measure`.

    Args:
        hits: as :func:`pointing_game` gives them.
        ids: image ids, in the order of the columns of ``weights``.
        weights: how often each image counts in each resample.
        least: classes with fewer images are left out.

    Raises:
        KeyError: an image of ``hits`` is not among ``ids``.
    """
    times_by_id = pd.DataFrame(weights.T, index=pd.Index(ids))
    result = Pointing({}, {}, {}, {})
    for label, cases in hits.groupby("label"):
        name, hit = str(label), cases["hit"].to_numpy(dtype=float)
        if len(cases) < least:
            result.left_out[name] = len(cases)
            continue
        times = times_by_id.loc[cases["id"]].to_numpy()
        with np.errstate(invalid="ignore"):
            result.rates[name] = (float(hit.mean()), hit @ times / times.sum(axis=0))
        result.chance[name], result.counts[name] = float(cases["chance"].mean()), len(cases)
    if result.rates:
        result.rates["mean"] = mean_of(result.rates.values())
        result.chance["mean"] = float(np.mean([*result.chance.values()]))
        result.counts["mean"] = sum(result.counts.values())
    return result
