"""What published files must not show of registration or credentialed records.

The protection itself is that notebooks on such records are executed into ``runs/private`` and
never published (``book/execute.py``). This check looks for slips afterwards: identifiers and
passages of eight words of the local copy (``search``), and data files, tables of single cases and
outputs of notebooks on restricted records (``contents``).

It cannot see images and numbers: a radiograph in a figure, a plot, a score of a single case, words
inside an image. It does not replace reading what you publish.
"""

from offclip.privacy.check import Finding, find_leaks
from offclip.privacy.local import LocalCopy, local_copy

__all__ = ["Finding", "LocalCopy", "find_leaks", "local_copy"]
