"""DICOM files of a rehearsal: 12 bits, and what a viewer has to undo. pydicom is imported late."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

_CENTRE, _WIDTH = 1985, 3570  # of the values of ``twelve_bits``
_SLOPE = 2
_SMALLEST = 32
"""Pixels of a side that JPEG 2000 needs for the encoder's six resolutions."""


def save_dicom(
    pixels: UInt16[np.ndarray, "height width"], path: Path, *, kind: str, number: int
) -> None:
    """Write grey values of 12 bits.

    Every third file has a rescale slope of 2, which the window allows for. Transfer syntaxes take
    turns: explicit and implicit little endian, RLE, deflated, and JPEG 2000 lossless where an
    encoder is installed.

    Args:
        pixels: bright is dense, as in MONOCHROME2.
        path: of the file.
        kind: MONOCHROME1 (stored inverted) or MONOCHROME2.
        number: of the case.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, generate_uid

    kind_of_file = DigitalXRayImageStorageForPresentation
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = kind_of_file
    uid = generate_uid(entropy_srcs=["rehearsal", str(path.name)])
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = uid
    film.Modality, film.PatientSex, film.PatientAge = "DX", "O", "050Y"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PhotometricInterpretation = kind
    film.PixelSpacing = [0.139, 0.139]
    slope = _SLOPE if number % 3 == 0 else 1
    film.RescaleSlope, film.RescaleIntercept = slope, 0
    film.WindowCenter, film.WindowWidth = slope * _CENTRE, slope * _WIDTH
    stored = 2 * _CENTRE - pixels if kind == "MONOCHROME1" else pixels
    film.PixelData = stored.astype("<u2").tobytes()
    _in_syntax(film, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(path, enforce_file_format=True)


def _in_syntax(film: Any, number: int) -> None:
    from pydicom import uid
    from pydicom.pixels import get_encoder

    plain = [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]
    every = [*plain, uid.RLELossless, uid.DeflatedExplicitVRLittleEndian]
    if min(film.Rows, film.Columns) >= _SMALLEST and get_encoder(uid.JPEG2000Lossless).is_available:
        every.append(uid.JPEG2000Lossless)
    chosen = every[number % len(every)]
    film.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if chosen.is_compressed and chosen != uid.DeflatedExplicitVRLittleEndian:
        film.compress(chosen, generate_instance_uid=False)
    else:
        film.file_meta.TransferSyntaxUID = chosen
