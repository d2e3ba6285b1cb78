"""Files of a synthetic copy: images, tables and DICOM. pydicom is imported where it is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8, UInt16
from PIL import Image

Row = dict[str, object]
"""Column to value, of a table to be written."""
_CENTRE, _WIDTH = 1985, 3570
"""Window of the values of ``twelve_bits``."""


def lateral(image: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height narrow"]:
    """What stands for a lateral view, which the phantom cannot render: two thirds as wide."""
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((2 * width // 3, height)))


def padded(image: UInt8[np.ndarray, "size width"]) -> tuple[UInt8[np.ndarray, "size size"], int]:
    """The image with black margins that make it as wide as high, and the width of the left one."""
    missing = image.shape[0] - image.shape[1]
    left = missing // 2
    return np.pad(image, ((0, 0), (left, missing - left))), left


def twelve_bits(image: UInt8[np.ndarray, "height width"]) -> UInt16[np.ndarray, "height width"]:
    """Grey values of a detector: 12 bits in 16, a margin at both ends."""
    return image.astype(np.uint16) * 14 + 200


def save_image(image: np.ndarray, path: Path) -> None:
    """Write an image where its name says; PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)


def save_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows as CSV, gzipped if the name says so; the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    method = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    pd.DataFrame(list(rows)).to_csv(path, index=False, compression=method, lineterminator="\n")


def save_lines(lines: Sequence[str], path: Path) -> None:
    """Write a list, or a table that is no plain CSV."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_dicom(pixels: UInt16[np.ndarray, "height width"], path: Path, number: int) -> None:
    """Write grey values of 12 bits, bright where dense, as the files of VinDr-CXR vary.

    Every fifth file is MONOCHROME1 (stored inverted), every third has a rescale slope of 2, which
    the window allows for. Transfer syntaxes take turns: explicit and implicit little endian, RLE,
    deflated, and JPEG 2000 lossless where an encoder is installed.

    Args:
        pixels: grey values.
        path: of the file.
        number: of the study; it decides how the file is stored.
    """
    from pydicom import uid
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.pixels import get_encoder

    inverted, slope = number % 5 == 0, 2 if number % 3 == 0 else 1
    dicom, meta = Dataset(), FileMetaDataset()
    dicom.file_meta = meta
    dicom.SOPClassUID = meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dicom.SOPInstanceUID = uid.generate_uid(entropy_srcs=["rehearsal", path.name])
    meta.MediaStorageSOPInstanceUID = dicom.SOPInstanceUID
    dicom.Modality, dicom.PatientSex, dicom.PatientAge = "DX", "O", "050Y"
    dicom.Rows, dicom.Columns = pixels.shape
    dicom.SamplesPerPixel, dicom.PixelRepresentation = 1, 0
    dicom.BitsAllocated, dicom.BitsStored, dicom.HighBit = 16, 12, 11
    dicom.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dicom.PixelSpacing = [0.139, 0.139]
    dicom.RescaleSlope, dicom.RescaleIntercept = slope, 0
    dicom.WindowCenter, dicom.WindowWidth = slope * _CENTRE, slope * _WIDTH
    dicom.PixelData = (2 * _CENTRE - pixels if inverted else pixels).astype("<u2").tobytes()
    syntaxes = [
        uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.RLELossless,
        uid.DeflatedExplicitVRLittleEndian, uid.JPEG2000Lossless,
    ]  # fmt: skip
    if min(pixels.shape) < 32 or not get_encoder(uid.JPEG2000Lossless).is_available:
        syntaxes.pop()  # its encoder needs 32 pixels for six resolutions
    meta.TransferSyntaxUID, chosen = syntaxes[0], syntaxes[number % len(syntaxes)]
    if chosen in (uid.RLELossless, uid.JPEG2000Lossless):
        dicom.compress(chosen, generate_instance_uid=False)
    else:
        meta.TransferSyntaxUID = chosen
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom.save_as(path, enforce_file_format=True)
