"""DICOM files with chosen pixels and elements."""

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def dataset(pixels, *, kind="MONOCHROME2", **elements):
    """One picture; more elements by their keywords, as values or as (VR, value)."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 1 if pixels.ndim == 2 else pixels.shape[2]
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.PhotometricInterpretation = kind
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PixelData = pixels.tobytes()
    with disable_value_validation():
        for name, value in elements.items():
            if isinstance(value, tuple):
                data.add_new(name, *value)
            else:
                setattr(data, name, value)
    return data


def write(path, pixels, **elements):
    """Write :func:`dataset` as a file; return its path."""
    with disable_value_validation():
        dataset(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def table(entries, *, first=0, bits=16):
    """An item of a sequence of lookup tables."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item
