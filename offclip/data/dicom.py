"""Radiographs as DICOM files: grey values as a viewer shows them."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

MAGIC_AT, MAGIC = 128, b"DICM"


def is_dicom(path: str | Path) -> bool:
    """Whether a file says that it is DICOM: four letters after a preamble of 128 bytes."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
    except OSError:
        return False


def read_dicom(path: str | Path) -> UInt8[np.ndarray, "height width"]:
    """The picture of a DICOM file in 8 bits: window applied, inverted where low values are bright.

    The modality's and the viewer's tables or windows are applied as the file asks, then the lowest
    value becomes 0 and the highest 255. A flat picture is black.

    Raises:
        ValueError: no picture, several frames or colour, an unknown compression, or a damaged
            file; the message names the file.
    """
    from pydicom import dcmread
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    try:
        dataset = dcmread(path)
        pixels = np.asarray(dataset.pixel_array)
        kind = str(dataset.PhotometricInterpretation)
        if pixels.ndim == 2 and kind in ("MONOCHROME1", "MONOCHROME2"):
            shown = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
    except Exception as error:  # pydicom raises a dozen kinds for damaged files
        raise ValueError(f"{path}: a DICOM file that cannot be read ({error})") from error
    if pixels.ndim != 2 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(
            f"{path}: expected one grey picture (MONOCHROME1 or 2), got {kind} with shape "
            f"{pixels.shape}"
        )
    low, high = shown.min(), shown.max()
    scaled = (shown - low) / (high - low) if high > low else np.zeros_like(shown)
    if kind == "MONOCHROME1" and high > low:
        scaled = 1 - scaled
    return np.rint(255 * scaled).astype(np.uint8)
