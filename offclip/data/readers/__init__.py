"""One reader a published set: from the files that people have to the same rows.

A reader takes ``(root, *, seed)`` and returns rows and counts. Rows: ``study_id, patient_id, split,
image`` (path below the root), ``view, labels, boxes, reason`` (why the row is left out, or ""), and
``is_normal``, or else ``report`` (path of the text that tells it). Boxes are in pixels of a picture
of ``box_width`` × ``box_height``; without these columns, of the file. Both are meant as stored, not
as EXIF data turn them: records have the boxes turned (``upright_boxes``).
"""

from collections.abc import Callable, Mapping

import pandas as pd

from offclip.data.readers import (
    chestx_det10,
    chestxray14,
    chexpert,
    mimic,
    ms_cxr,
    openi_images,
    padchest,
    vindr,
)

Reader = Callable[..., tuple[pd.DataFrame, dict[str, int]]]
READERS: Mapping[str, Reader] = {
    mimic.DATASET: mimic.read_mimic,
    vindr.DATASET: vindr.read_vindr,
    openi_images.DATASET: openi_images.read_openi_images,
    chexpert.DATASET: chexpert.read_chexpert,
    padchest.DATASET: padchest.read_padchest,
    chestxray14.DATASET: chestxray14.read_chestxray14,
    chestx_det10.DATASET: chestx_det10.read_chestx_det10,
    ms_cxr.DATASET: ms_cxr.read_ms_cxr,
}

__all__ = ["READERS", "Reader"]
