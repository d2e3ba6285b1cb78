"""Radiographs in files: read as 8-bit grey, resized, and boxes that follow."""

from offclip.imaging.read import read_radiograph as read_radiograph
