"""An image with a bright rectangle and its box, stored in any of the eight EXIF orientations."""

import numpy as np
from PIL import Image

BOX = {"label": "A", "x_min": 8.0, "y_min": 0.0, "x_max": 24.0, "y_max": 8.0}
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def stored(path, orientation):
    """Write 40 x 24 pixels as they are stored, :data:`BOX` bright; return the path."""
    grey = np.zeros((24, 40), np.uint8)
    grey[0:8, 8:24] = 240
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(grey).save(path, exif=exif)
    return path


def bright(grey):
    """Corners of what is bright."""
    down, across = np.nonzero(grey > 120)
    return across.min(), down.min(), across.max() + 1, down.max() + 1
