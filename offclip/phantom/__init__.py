"""Phantom radiographs: a finding list and a seed give an image with exact boxes.

A laboratory, not evidence about patients. ``mesh`` reads annotations, ``anatomy`` draws a person,
``body`` builds path lengths from ``solids``, ``changes``, ``lesions`` and ``hardware`` add the
findings, ``detector`` makes the image.
"""

from offclip.phantom.findings import Box, Finding
from offclip.phantom.mesh import MeshReading, findings_from_mesh, labels_from_mesh
from offclip.phantom.render import FINDINGS, RENDERING, Phantom, render, render_many

__all__ = [
    "FINDINGS",
    "RENDERING",
    "Box",
    "Finding",
    "MeshReading",
    "Phantom",
    "findings_from_mesh",
    "labels_from_mesh",
    "render",
    "render_many",
]
