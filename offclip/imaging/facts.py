"""What a file states of its image in addition to the pixels: view, orientation and size.

Read from a handful of elements that identify nobody; free text is matched against four words and
not kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from offclip.imaging.boxes import ON_ITS_SIDE
from offclip.imaging.errors import named_errors
from offclip.imaging.read import is_dicom

View = Literal["PA", "AP", "LATERAL", ""]

_VIEWS: dict[str, View] = {
    "PA": "PA", "AP": "AP", "LL": "LATERAL", "RL": "LATERAL", "LAT": "LATERAL",
    "LATERAL": "LATERAL",
}  # fmt: skip
_WORDS = ("PA", "AP", "LAT", "LATERAL")
_ELEMENTS = ("Rows", "Columns", "ViewPosition", "PatientOrientation", "SeriesDescription")


@dataclass(frozen=True)
class ImageFacts:
    """What the metadata of an image state.

    Attributes:
        view: "PA", "AP" or "LATERAL"; empty where there is none, another, or a contradiction.
        sideways: whether the patient lies on the side in the pixels as stored; False where nothing
            is stated. (``read_radiograph`` turns PNG and JPEG files upright, DICOM files not.)
        width: in pixels, as stored.
        height: in pixels, as stored.
        orientation: by which ``read_radiograph`` turns it upright, from 1 (not at all) to 8, as
            EXIF counts them.
    """

    view: View
    sideways: bool
    width: int
    height: int
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the image that ``read_radiograph`` gives."""
        size = (self.width, self.height)
        return size[::-1] if self.orientation in ON_ITS_SIDE else size


def image_facts(path: str | Path) -> ImageFacts:
    """View, orientation and size of a DICOM, PNG or JPEG file; no pixel is decoded.

    DICOM: the view position; where it is missing, a patient orientation towards front or back along
    the rows is a lateral view; where that is missing too, the series description, if it has exactly
    one of the words PA, AP and LAT or LATERAL. PNG and JPEG know no view, only the EXIF orientation
    (of a PNG, if it stands before the pixels).

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: not an image, or a damaged one; the message names the file.
    """
    with named_errors(path):
        if is_dicom(path):
            return _dicom_facts(path)
        from offclip.imaging.raster import open_raster, orientation_of

        with open_raster(path) as image:
            orientation = orientation_of(image)
            return ImageFacts("", orientation in ON_ITS_SIDE, *image.size, orientation)


def _dicom_facts(path: str | Path) -> ImageFacts:
    from offclip.imaging.dicom import read_header, whole_number

    header = read_header(path, _ELEMENTS)
    rows, columns = _directions(header.get("PatientOrientation"))
    across = rows in ("A", "P") and columns in ("H", "F")
    position = str(header.get("ViewPosition") or "").strip().upper()
    if position:
        view = _VIEWS.get(position, "")
        view = "" if across and view != "LATERAL" else view
    elif rows:
        view = "LATERAL" if across else ""
    else:
        view = _described(str(header.get("SeriesDescription") or ""))
    size = whole_number(header, "Columns"), whole_number(header, "Rows")
    return ImageFacts(view, rows in ("H", "F"), *size)


def _directions(orientation: Any) -> tuple[str, str]:
    """First letters of where rows and columns lead to: left, right, anterior, posterior, …"""
    if not isinstance(orientation, Sequence) or len(orientation) != 2:
        return "", ""
    first, second = (str(each).strip().upper()[:1] for each in orientation)
    return (first, second) if {first, second} <= set("LRAPHF") else ("", "")


def _described(text: str) -> View:
    views = {_VIEWS[word] for word in re.findall(r"[A-Z]+", text.upper()) if word in _WORDS}
    return views.pop() if len(views) == 1 else ""
