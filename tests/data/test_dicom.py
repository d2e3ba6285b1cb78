"""DICOM files: shown as a viewer shows them, and clear words about what cannot be read."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from offclip.data.pictures import read_grey, read_picture

RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


def write(path, pixels, *, kind="MONOCHROME2", **tags):
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
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    data.PhotometricInterpretation = kind
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_grey_values_span_eight_bits_and_low_can_be_bright(tmp_path):
    plain = read_grey(write(tmp_path / "a.dcm", RAMP))
    assert plain.shape == (64, 48) and plain.dtype == np.uint8
    assert plain[0, 0] == 0 and plain[-1, -1] == 255 and (np.diff(plain.ravel()) >= 0).all()
    inverted = read_grey(write(tmp_path / "b", RAMP, kind="MONOCHROME1"))  # no suffix needed
    np.testing.assert_allclose(inverted.astype(int), 255 - plain.astype(int), atol=1)


def test_the_window_is_applied(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP, WindowCenter=1500, WindowWidth=1000)
    shown = read_grey(path)
    assert (shown[RAMP < 990] == 0).all() and (shown[RAMP > 2010] == 255).all()
    assert 100 < shown[RAMP == 1500].item() < 155


def test_a_flat_picture_is_black_in_both_kinds(tmp_path):
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        assert not read_picture(write(tmp_path / kind, np.full_like(RAMP, 7), kind=kind), 8).any()


def test_what_cannot_be_read_is_named(tmp_path):
    colour = write(tmp_path / "colour.dcm", np.zeros((8, 8, 3), np.uint8), kind="RGB")
    with pytest.raises(ValueError, match=r"colour.dcm: expected one grey picture.*RGB"):
        read_grey(colour)
    whole = write(tmp_path / "whole.dcm", RAMP).read_bytes()
    for name, content in (("cut.dcm", whole[: len(whole) // 2]), ("head.dcm", whole[:140])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: a DICOM file that cannot be read"):
            read_grey(tmp_path / name)
