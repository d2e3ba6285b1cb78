"""From an image file to the square grey picture that a model takes."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image, ImageOps
from scipy.stats import rankdata

from offclip.data.dicom import is_dicom, read_dicom
from offclip.data.image_facts import image_facts as image_facts
from offclip.data.image_limits import RefusedImage, opened_image
from offclip.data.image_raster import IMAGE, ON_ITS_SIDE, open_picture, upright

_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBA", "LA")


def read_picture(
    path: str | Path, size: int, *, equalise: bool = False
) -> UInt8[np.ndarray, "size size"]:
    """Read an image as grey, padded with black to a square and averaged down to ``size``.

    Args:
        path: of the image, see :func:`read_grey`.
        size: side in pixels.
        equalise: give every picture the same flat histogram, each grey value its rank, padding
            apart. What brightness and contrast tell of a scanner is gone, and with it what they
            tell of a lung. (Pillow's equalisation leaves the steps of a narrow histogram.)

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it cannot be read as grey; the message names the file.
    """
    return square_picture(read_grey(path), size, equalise=equalise)


def square_picture(
    grey: UInt8[np.ndarray, "height width"], size: int, *, equalise: bool = False
) -> UInt8[np.ndarray, "size size"]:
    """A grey picture padded with black to a square and averaged down; see :func:`read_picture`."""
    whole = Image.fromarray(grey)
    small = ImageOps.contain(whole, (size, size), method=Image.Resampling.BOX)
    if equalise:
        ranks = rankdata(np.asarray(small)).reshape(small.size[::-1])
        small = Image.fromarray((255 * ranks / ranks.size).astype(np.uint8))
    return np.asarray(ImageOps.pad(small, (size, size), color=0))


def read_grey(
    path: str | Path, *, dicom_scaling: str = "window"
) -> UInt8[np.ndarray, "height width"]:
    """Read a DICOM, PNG or JPEG file as grey at its own size.

    Colours and palettes become grey, transparency is ignored, and a picture is turned or mirrored
    as its EXIF data say (boxes of the file turn with it by :func:`upright_boxes`).

    In PNG files with 16 bits a pixel, white is the highest value of 16 bits, as the format has it
    (torchxrayvision reads PadChest by this rule, and OpenCV, in CARZero's code, cuts 16 bits to the
    upper 8, which is the same to one grey level).
    Where all values fit into 12 or 8 bits, white is the highest value of those: scanners' values
    are at times copied as they are, and would be black. Which of the two holds for how many of
    PadChest's files is unverified.

    Args:
        path: of the file.
        dicom_scaling: how values of a DICOM file become grey, see
            :func:`offclip.data.dicom.read_dicom`.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: not an image, a damaged or an enormous one, or a kind of pixel that has no one
            grey; the message names the file.
    """
    if is_dicom(path):
        return read_dicom(path, scaling=dicom_scaling)
    with opened_image(path, IMAGE) as file, open_picture(file) as image:
        if image.mode in ("I", "I;16", "I;16B", "I;16L"):
            return _eight_bits(np.asarray(upright(image)))
        if image.mode not in _EIGHT_BIT:
            raise RefusedImage(f"expected grey, RGB or a palette, got {image.mode} pixels")
        return np.asarray(upright(image).convert("L"))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey of a PNG with 16 bits, see :func:`read_grey`."""
    white = next(2**bits - 1 for bits in (8, 12, 16, 32) if values.max() < 2**bits)
    return np.rint(values * np.float32(255 / white)).astype(np.uint8)


def upright_boxes(
    boxes: Iterable[Mapping[str, Any]],
    size: tuple[int, int],
    orientation: int = 1,
    table_size: tuple[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Boxes of an image as it is stored, in pixels of the picture as :func:`read_grey` reads it.

    Args:
        boxes: ``label, x_min, y_min, x_max, y_max``.
        size: width and height of the picture as it is read.
        orientation: of :class:`offclip.data.image_facts.ImageFacts`.
        table_size: width and height that the boxes refer to; default: those of the stored image.
    """
    width, height = map(float, size)
    stored = (height, width) if orientation in ON_ITS_SIDE else (width, height)
    across, down = (s / t for s, t in zip(stored, table_size or stored, strict=True))
    found = []
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
        found.append({"label": box["label"], **corners})
    return found


def boxes_in_square(cases: pd.DataFrame, size: int) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by study id, in pixels of pictures that are padded to a square of this size.

    Args:
        cases: records; their boxes are in pixels of ``width`` and ``height``.
        size: side of the pictures.
    """
    found: dict[str, list[dict[str, float | str]]] = {}
    for case in cases.itertuples():
        side = max(case.width, case.height)
        left, top = (side - case.width) / 2, (side - case.height) / 2
        for box in case.boxes:
            x = [(box[name] + left) * size / side for name in ("x_min", "x_max")]
            y = [(box[name] + top) * size / side for name in ("y_min", "y_max")]
            scaled = {"x_min": x[0], "x_max": x[1], "y_min": y[0], "y_max": y[1]}
            found.setdefault(case.study_id, []).append({"label": box["label"], **scaled})
    return found


class Pictures:
    """Grey pictures of a list of studies; draw 0 as they are, further draws moved and re-exposed.

    The counterpart of :class:`offclip.data.batches.PhantomImages` for images from files: a draw is
    a function of the study and its number alone.
    """

    def __init__(self, ids: Sequence[str], pictures: UInt8[np.ndarray, "study size size"]):
        if len(ids) != len(pictures):
            raise ValueError(f"pictures: expected {len(ids)}, one an id, got {len(pictures)}")
        self.ids, self.pictures = list(ids), pictures

    def draw(self, number: int) -> UInt8[np.ndarray, "study size size"]:
        """Draw ``number`` of every study: shifted by up to 1/16, contrast and level up to 10 %."""
        if number == 0:
            return self.pictures
        reach = self.pictures.shape[1] // 16
        drawn = np.empty_like(self.pictures)
        for row, (study, picture) in enumerate(zip(self.ids, self.pictures, strict=True)):
            generator = np.random.default_rng((zlib.crc32(study.encode()), number))
            down, right = generator.integers(-reach, reach + 1, size=2)
            padded = np.pad(picture, reach, mode="edge")
            size = len(picture)
            moved = padded[reach + down :, reach + right :][:size, :size].astype(np.float32)
            contrast, level = generator.uniform(0.9, 1.1), generator.uniform(-25, 25)
            drawn[row] = np.clip((moved - 128) * contrast + 128 + level, 0, 255)
        return drawn
