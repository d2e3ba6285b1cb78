"""What readers play with, live in Jupyter and in pages without a kernel.

The loss explorer shows one batch; ``explorer.js`` holds all of its maths and its view, and the
Python side only starts it. The report box shows what is read from a report. Needs ipywidgets and
anywidget (``pip install "offclip[book]"``), so nothing else in the package imports this part.
"""

from offclip.explorer.reading import ReportBox, reading_html
from offclip.explorer.widget import LossExplorer

__all__ = ["LossExplorer", "ReportBox", "reading_html"]
