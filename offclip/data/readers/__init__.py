"""A reader for each published set: from the files that people have to the same rows.

A reader takes ``(root, *, seed)`` and returns rows and counts. Rows: ``study_id, patient_id, split,
image`` (path below the root), ``view, labels, boxes, reason`` (why the row is left out, or ""), and
``is_normal``, or else ``report`` (path of the text that states it). Boxes are in pixels of an image
of ``box_width`` × ``box_height``; without these columns, of the file. Both are meant as stored, not
as EXIF data turn them: records have the boxes turned (``upright_boxes``).
"""

from collections.abc import Callable, Mapping

import pandas as pd

from offclip.data.readers.chestx_det10 import read_chestx_det10
from offclip.data.readers.chestxray14 import read_chestxray14
from offclip.data.readers.chexpert import read_chexpert
from offclip.data.readers.mimic import read_mimic
from offclip.data.readers.ms_cxr import read_ms_cxr
from offclip.data.readers.openi_images import read_openi_images
from offclip.data.readers.padchest import read_padchest
from offclip.data.readers.vindr import read_vindr

Reader = Callable[..., tuple[pd.DataFrame, dict[str, int]]]
READERS: Mapping[str, Reader] = {
    "mimic_cxr": read_mimic,
    "vindr_cxr": read_vindr,
    "openi": read_openi_images,
    "chexpert": read_chexpert,
    "padchest": read_padchest,
    "nih_chestxray14": read_chestxray14,
    "chestx_det10": read_chestx_det10,
    "ms_cxr": read_ms_cxr,
}

__all__ = ["READERS", "Reader"]
