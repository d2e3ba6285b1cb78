"""Radiographs in files: read as 8-bit grey, resized, and boxes that follow.

At the ground of the package: imports nothing of it.
"""

from offclip.imaging.read import read_radiograph as read_radiograph
