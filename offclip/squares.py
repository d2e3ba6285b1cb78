"""A grey picture as a square of 256 pixels: published models see its middle, caches keep it."""

import numpy as np
from jaxtyping import UInt8

LONGER_SIDE, CROP = 256, 224


def published_square(image: np.ndarray) -> UInt8[np.ndarray, "256 256"]:
    """Longer side to 256 by areas, zeros around.

    As CARZero's data module does it: OpenCV's ``INTER_AREA`` on 8-bit grey (Pillow's box filter
    differs by up to 22 grey levels), the shorter side rounded down, the odd pixel of the padding
    right or below.

    Args:
        image: (height, width) of uint8, grey.

    Raises:
        ValueError: not one grey 8-bit picture, or one so narrow that nothing is left of it.
    """
    import cv2

    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(
            "image: expected (height, width) of uint8, grey values from 0 to 255, got "
            f"{image.shape} of {image.dtype}; window it to 8 bits first"
        )
    longer = max(image.shape, default=0)
    height, width = (side * LONGER_SIDE // max(longer, 1) for side in image.shape)
    if not height or not width:
        raise ValueError(f"image: {image.shape} leaves no pixel at a longer side of {LONGER_SIDE}")
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    square = np.zeros((LONGER_SIDE, LONGER_SIDE), dtype=np.uint8)
    top, left = (LONGER_SIDE - height) // 2, (LONGER_SIDE - width) // 2
    square[top : top + height, left : left + width] = small
    return square


class PictureRows:
    """Some rows of an array of pictures, in an order of their own, copied when asked for."""

    def __init__(self, pictures: np.ndarray, rows: np.ndarray):
        self.pictures, self.rows = pictures, np.asarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | np.ndarray) -> UInt8[np.ndarray, "image side side"]:
        return self.pictures[self.rows[chosen]]
