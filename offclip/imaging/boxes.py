"""Boxes follow their image: turned upright, padded and resized."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

ON_ITS_SIDE = (5, 6, 7, 8)
"""EXIF orientations in which rows are stored as columns."""


def upright_boxes(
    boxes: Iterable[Mapping[str, Any]],
    size: tuple[int, int],
    orientation: int = 1,
    table_size: tuple[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Boxes of an image as it is stored, in pixels of the image as ``read_radiograph`` reads it.

    Args:
        boxes: ``label, x_min, y_min, x_max, y_max``.
        size: width and height of the image as it is read.
        orientation: of :class:`offclip.imaging.facts.ImageFacts`.
        table_size: width and height that the boxes refer to; default: those of the stored image.
    """
    width, height = map(float, size)
    stored = (height, width) if orientation in ON_ITS_SIDE else (width, height)
    across, down = (s / t for s, t in zip(stored, table_size or stored, strict=True))
    turned = []
    for box in boxes:
        x = [box["x_min"] * across, box["x_max"] * across]
        y = [box["y_min"] * down, box["y_max"] * down]
        if orientation in ON_ITS_SIDE:
            x, y = y, x
        if orientation in (2, 3, 6, 7):  # left and right change places
            x = [width - x[1], width - x[0]]
        if orientation in (3, 4, 7, 8):  # top and bottom do
            y = [height - y[1], height - y[0]]
        corners = {"x_min": x[0], "y_min": y[0], "x_max": x[1], "y_max": y[1]}
        turned.append({"label": box["label"], **corners})
    return turned


def boxes_in_square(cases: pd.DataFrame, size: int) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by study id, in pixels of images that are padded to a square of this size.

    Args:
        cases: records; their boxes are in pixels of ``width`` and ``height``.
        size: side of the padded images.
    """
    boxes: dict[str, list[dict[str, float | str]]] = {}
    for case in cases.itertuples():
        side = max(case.width, case.height)
        left, top = (side - case.width) / 2, (side - case.height) / 2
        for box in case.boxes:
            x = [(box[name] + left) * size / side for name in ("x_min", "x_max")]
            y = [(box[name] + top) * size / side for name in ("y_min", "y_max")]
            scaled = {"x_min": x[0], "x_max": x[1], "y_min": y[0], "y_max": y[1]}
            boxes.setdefault(case.study_id, []).append({"label": box["label"], **scaled})
    return boxes
