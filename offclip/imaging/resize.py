"""Grey images padded to a square and resized.

Of those of 256 pixels, published models see the middle, and caches keep them.
"""

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
        ValueError: not one grey 8-bit image, or one so narrow that nothing is left of it.
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


def padded_square(
    grey: UInt8[np.ndarray, "height width"], size: int, *, equalise: bool = False
) -> UInt8[np.ndarray, "size size"]:
    """A grey image averaged down to ``size`` (its longer side) and padded with black to a square.

    Args:
        grey: of :func:`offclip.imaging.read_radiograph`.
        size: side in pixels.
        equalise: give every image the same flat histogram, each grey value its rank, padding apart.
            What brightness and contrast reveal of a scanner is gone, and with it what they reveal
            of a lung. (Pillow's equalisation leaves the steps of a narrow histogram.)
    """
    from PIL import Image, ImageOps
    from scipy.stats import rankdata

    small = ImageOps.contain(Image.fromarray(grey), (size, size), method=Image.Resampling.BOX)
    if equalise:
        ranks = rankdata(np.asarray(small)).reshape(small.size[::-1])
        small = Image.fromarray((255 * ranks / ranks.size).astype(np.uint8))
    return np.asarray(ImageOps.pad(small, (size, size), color=0))


class ImageRows:
    """Some rows of an array of images, in an order of their own, copied when they are indexed."""

    def __init__(self, images: np.ndarray, rows: np.ndarray):
        self.images, self.rows = images, np.asarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | np.ndarray) -> UInt8[np.ndarray, "image side side"]:
        return self.images[self.rows[chosen]]
