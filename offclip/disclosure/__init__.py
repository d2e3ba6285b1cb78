"""Nobody's data leaves: what published files must not show of registration or credentialed records.

The files are read once and their words indexed; the local copy is streamed past them. Compared are
texts by runs of eight words (``passages``), names of studies and patients (``identifiers``), scores
of single images (``scores``), pixels (``pictures``), and what files say of where they come from
(``provenance``). Messages name file, kind and count, never what was found.
"""

from offclip.disclosure.check import Fault, Report, find_faults
from offclip.disclosure.local import LocalCopy, local_copy

__all__ = ["Fault", "LocalCopy", "Report", "find_faults", "local_copy"]
