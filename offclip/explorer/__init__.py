"""The loss explorer: one batch to play with, live in Jupyter and in pages without a kernel.

``explorer.js`` holds all of its maths and its view; the Python side only starts it. Needs
anywidget (``pip install "offclip[book]"``), so nothing else in the package imports this part.
"""

from offclip.explorer.widget import LossExplorer

__all__ = ["LossExplorer"]
