"""From a grey picture to the input of the published model."""

import numpy as np
from jaxtyping import Float32

from offclip.imaging.resize import CROP, LONGER_SIDE, published_square

MEAN, STD = 0.4978, 0.2449


def published_preprocess(image: np.ndarray) -> Float32[np.ndarray, "3 224 224"]:
    """:func:`offclip.imaging.resize.published_square`, its middle, and one mean and deviation.

    Args:
        image: (height, width) of uint8, grey.

    Raises:
        ValueError: as for :func:`offclip.imaging.resize.published_square`.
    """
    edge = (LONGER_SIDE - CROP) // 2
    middle = published_square(image)[edge : edge + CROP, edge : edge + CROP]
    scaled = (middle.astype(np.float32) / 255 - MEAN) / STD
    return np.broadcast_to(scaled.astype(np.float32), (3, CROP, CROP)).copy()
