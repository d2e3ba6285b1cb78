"""DICOM files: grey as the standard and pydicom have it, and as the published code has it."""

import sys
import warnings

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import apply_modality_lut, apply_voi_lut, get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless

from offclip.imaging import read_radiograph
from tests.imaging.dicoms import dataset, table, write

RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)  # 0 … 3071


def test_grey_values_span_eight_bits_and_low_can_be_bright(tmp_path):
    plain = read_radiograph(write(tmp_path / "a.dcm", RAMP))
    assert plain.shape == (64, 48) and plain.dtype == np.uint8
    assert plain[0, 0] == 0 and plain[-1, -1] == 255 and (np.diff(plain.ravel()) >= 0).all()
    inverted = read_radiograph(write(tmp_path / "b", RAMP, kind="MONOCHROME1"))  # no suffix needed
    np.testing.assert_allclose(inverted.astype(int), 255 - plain.astype(int), atol=1)


def test_the_window_is_applied(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP, WindowCenter=1500, WindowWidth=1000)
    shown = read_radiograph(path)
    assert (shown[RAMP < 990] == 0).all() and (shown[RAMP > 2010] == 255).all()
    assert 100 < shown[RAMP == 1500].item() < 155


def test_a_flat_picture_is_black_in_both_kinds(tmp_path):
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        assert not read_radiograph(write(tmp_path / kind, np.full_like(RAMP, 7), kind=kind)).any()


def by_pydicom(path):
    """The same from pydicom's steps: windowed values lie in the range of the stored ones."""
    data = dcmread(path)
    modality = apply_modality_lut(data.pixel_array, data)
    shown = apply_voi_lut(modality, data).astype(float)
    low, high = np.array([0, 2**data.BitsStored - 1]) - 2 ** (data.BitsStored - 1) * int(
        data.PixelRepresentation
    )
    ends = np.array([low, high]) * float(data.RescaleSlope) + float(data.RescaleIntercept)
    shown = (shown - ends[0]) / (ends[1] - ends[0])
    shown = 1 - shown if data.PhotometricInterpretation == "MONOCHROME1" else shown
    return np.rint(255 * np.clip(shown, 0, 1)).astype(int)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", ""])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_windows_are_pydicoms(function, dtype, tmp_path):
    generator = np.random.default_rng(len(function))
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        bits = 8 if dtype.endswith("8") else 12
        low, high = (0, 2**bits) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        slope = round(generator.uniform(0.5, 3), 3)
        intercept = round(generator.uniform(-900, 100), 2)
        center = round(slope * generator.uniform(low, high) + intercept, 1)
        path = write(
            tmp_path / "a.dcm",
            generator.integers(low, high, (32, 32)).astype(dtype),
            kind=kind,
            BitsStored=bits,
            HighBit=bits - 1,
            RescaleSlope=slope,
            RescaleIntercept=intercept,
            WindowCenter=[center, 3],
            WindowWidth=[round(generator.uniform(20, 2000), 1), 5],
            **({"VOILUTFunction": function} if function else {}),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # pydicom's exp overflows
            expected = by_pydicom(path)
        assert np.abs(read_radiograph(path) - expected).max() <= 1  # a half, rounded either way


def test_the_ends_of_a_window_by_hand(tmp_path):
    pixels = np.array([[9, 10, 11, 12, 13, 14, 15]], np.uint8)
    elements = {"WindowCenter": 12.5, "WindowWidth": 5}  # C.11.2.1.2.1: 10 is black, 14 is white
    shown = read_radiograph(write(tmp_path / "a.dcm", pixels, **elements))
    assert shown.tolist() == [[0, 0, 64, 128, 191, 255, 255]]
    elements |= {"WindowCenter": 12, "WindowWidth": 4, "VOILUTFunction": "LINEAR_EXACT"}
    assert read_radiograph(write(tmp_path / "a.dcm", pixels, **elements)).tolist() == shown.tolist()
    step = read_radiograph(write(tmp_path / "a.dcm", pixels, WindowCenter=12, WindowWidth=1))
    assert step.tolist() == [[0, 0, 0, 255, 255, 255, 255]]


def test_what_is_outside_of_the_window_changes_nothing_inside(tmp_path):
    marked = RAMP.copy()
    marked[0, :5] = 60_000  # a lead letter
    window = {"WindowCenter": 1500, "WindowWidth": 3000}
    plain, seen = (read_radiograph(write(tmp_path / "a", p, **window)) for p in (RAMP, marked))
    assert (plain[1:] == seen[1:]).all() and (seen[0, :5] == 255).all()
    alone = read_radiograph(write(tmp_path / "a", RAMP))[1:].astype(int)
    dimmed = read_radiograph(write(tmp_path / "a", marked))[1:]  # no window: outliers are put aside
    assert np.abs(dimmed - alone).max() < 8
    assert (
        read_radiograph(write(tmp_path / "a", marked, **window), dicom_scaling="max")[1:].max() < 20
    )


def test_tables_come_before_slope_and_window(tmp_path):
    halves = table(np.repeat([0, 100, 4095], [1000, 1000, 1000]), bits=12)
    path = write(
        tmp_path / "a.dcm", RAMP, VOILUTSequence=[halves, table([1, 2])], WindowCenter=1,
        WindowWidth=2,
    )  # fmt: skip
    shown = read_radiograph(path)
    assert (shown[RAMP < 1000] == 0).all() and (shown[RAMP >= 2000] == 255).all()
    assert (shown[(RAMP >= 1000) & (RAMP < 2000)] == round(255 * 100 / 4095)).all()
    twisted = table([5, 9, 7], first=-1)
    pixels = np.array([[-3, -1, 0, 1, 8]], np.int16)
    path = write(
        tmp_path / "b.dcm", pixels, ModalityLUTSequence=[twisted], RescaleSlope=9,
        RescaleIntercept=9,
    )  # fmt: skip
    assert read_radiograph(path).tolist() == [[0, 0, 255, 128, 128]]


def test_tables_of_eight_bits_may_be_long_and_packed(tmp_path):
    long = table(np.arange(3072) * 255 // 3071, bits=8)  # pydicom's index of 8 bits wraps here
    shown = read_radiograph(write(tmp_path / "a.dcm", RAMP, VOILUTSequence=[long]))
    np.testing.assert_array_equal(shown, (RAMP.astype(int) * 255 // 3071).astype(np.uint8))
    packed = table([0, 1, 2], bits=8)
    packed["LUTData"].VR, packed.LUTData = "OW", bytes([0, 50, 100, 0])
    path = write(tmp_path / "b.dcm", np.array([[0, 1, 2, 9]], np.uint8), VOILUTSequence=[packed])
    assert read_radiograph(path).tolist() == [[0, 128, 255, 255]]


def test_a_table_that_uses_fewer_bits_than_it_promises_is_not_dark(tmp_path):
    dim = table(np.arange(3072), bits=16)
    assert read_radiograph(write(tmp_path / "a.dcm", RAMP, VOILUTSequence=[dim])).max() == 255


def test_bits_beyond_those_stored_are_rubbish(tmp_path):
    clean = write(tmp_path / "a.dcm", RAMP, BitsStored=12, HighBit=11)
    dirty = write(tmp_path / "b.dcm", RAMP | 0x5000, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_radiograph(clean), read_radiograph(dirty))
    signed = (RAMP.astype(np.int16) - 2000) & 0x0FFF  # 12 bits, the sign in the highest of these
    path = write(tmp_path / "c.dcm", signed, BitsStored=12, HighBit=11, PixelRepresentation=1)
    np.testing.assert_array_equal(
        read_radiograph(path), read_radiograph(write(tmp_path / "d", RAMP))
    )


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count(kind, tmp_path):
    pixels = np.arange(-500, 500, dtype=np.int16).reshape(20, 50)
    pixels[:3], pixels[3] = -2000, -1990
    padded = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1980}
    for name, value in padded.items():
        padded[name] = ("US", value & 0xFFFF)  # as these are at times written
    shown = read_radiograph(write(tmp_path / "a.dcm", pixels, kind=kind, **padded))
    alone = read_radiograph(write(tmp_path / "b.dcm", pixels[4:], kind=kind))
    assert not shown[:4].any() and (shown[4:] == alone).all()
    assert not read_radiograph(
        write(tmp_path / "c", np.full((4, 4), 9, np.uint8), kind=kind, PixelPaddingValue=9)
    ).any()


@pytest.mark.parametrize(
    ("kind", "shape", "inverted"),
    [
        ("MONOCHROME1", "INVERSE", True), ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True), ("MONOCHROME2", "IDENTITY", False),
    ],
)  # fmt: skip
def test_inversion_happens_once(kind, shape, inverted, tmp_path):
    shown = read_radiograph(write(tmp_path / "a.dcm", RAMP, kind=kind, PresentationLUTShape=shape))
    assert shown[0, 0] == 255 * inverted and shown[-1, -1] == 255 * (not inverted)


def test_wide_integers_and_big_endian_and_deflated_files_are_the_same_picture(tmp_path):
    expected = read_radiograph(write(tmp_path / "a.dcm", RAMP))
    wide = write(tmp_path / "b.dcm", RAMP.astype(np.int32) * 70_000 - 90_000_000)
    assert np.abs(read_radiograph(wide).astype(int) - expected).max() <= 1
    for name, syntax, dtype in (
        ("c.dcm", ExplicitVRBigEndian, ">u2"), ("d.dcm", DeflatedExplicitVRLittleEndian, "<u2"),
    ):  # fmt: skip
        data = dataset(RAMP)
        data.PixelData = RAMP.astype(dtype).tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        data["PixelData"].VR = "OW"
        data.save_as(tmp_path / name, enforce_file_format=True)
        np.testing.assert_array_equal(read_radiograph(tmp_path / name), expected)
    runs = dataset(RAMP)
    runs.compress(RLELossless)
    runs.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "e.dcm"), expected)


def test_published_scaling_is_by_hand(tmp_path):
    elements = {"WindowCenter": 1, "WindowWidth": 2, "RescaleSlope": 5, "RescaleIntercept": 7}
    pixels = np.array([[-50, 0, 1, 100, 199, 200]], np.int16)
    path = write(tmp_path / "a.dcm", pixels, kind="MONOCHROME1", **elements)
    assert read_radiograph(path, dicom_scaling="max").tolist() == [[0, 0, 1, 127, 253, 255]]
    dark = write(tmp_path / "b.dcm", np.full((2, 2), -3, np.int16))
    assert not read_radiograph(dark, dicom_scaling="max").any()
    with pytest.raises(ValueError, match="dicom_scaling: expected window or max, got 'min'"):
        read_radiograph(path, dicom_scaling="min")


COLOUR = np.zeros((8, 8, 3), np.uint8)
SHORT = table([1, 2, 3])
SHORT.LUTDescriptor = [9, 0, 16]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"pixels": COLOUR, "kind": "RGB"}, "expected one grey image.*got 1 with 3 .*RGB"),
        ({"pixels": COLOUR, "kind": "YBR_FULL"}, "expected one grey image.*YBR_FULL"),
        ({"kind": "PALETTE COLOR"}, "expected one grey image.*PALETTE COLOR"),
        ({"kind": "SMITH^JOHN"}, "expected one grey image.*another interpretation"),
        ({"NumberOfFrames": 2}, "expected one grey image.*got 2 with 1 channels"),
        ({"BitsAllocated": 12, "Rows": 80}, "expected 8, 16 or 32 bits per pixel, got 12"),
        ({"Rows": 0}, "expected 1 to 100000000 pixels, got 48 × 0"),
        ({"Rows": None}, "expected a number as Rows, got none"),
        ({"Rows": 65_535, "Columns": 65_535}, "pixels, got 65535 × 65535"),
        ({"Rows": 65}, "expected 6240 bytes of pixels, got 6144; download it again"),
        ({"Rows": 32}, "expected 3072 bytes of pixels, got 6144"),
        ({"WindowCenter": 9, "WindowWidth": "inf"}, "expected a finite number as WindowWidth"),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "expected a RescaleSlope other than 0"),
        ({"RescaleSlope": "9e307", "RescaleIntercept": 0}, "not finite when they are rescaled"),
        ({"RescaleSlope": "nan"}, "expected a finite number as RescaleSlope, got nan"),
        (
            {"WindowCenter": 9, "WindowWidth": 9, "VOILUTFunction": "SMITH"},
            "expected the window function LINEAR, LINEAR_EXACT or SIGMOID",
        ),
        ({"WindowCenter": -900, "WindowWidth": 9}, "shows nearly one even grey"),
        ({"WindowCenter": 32768, "WindowWidth": 65536}, "shows nearly one even grey"),
        ({"VOILUTSequence": [table([7] * 9)]}, "shows nearly one even grey"),
        ({"VOILUTSequence": [SHORT]}, "expected a lookup table of 9 entries, got 3"),
    ],
)
def test_images_of_no_sense_are_refused(elements, message, tmp_path):
    path = write(tmp_path / "odd.dcm", **{"pixels": RAMP} | elements)
    with pytest.raises(ValueError, match=rf"odd\.dcm: .*{message}") as refused:
        read_radiograph(path)
    assert "SMITH" not in str(refused.value) and refused.value.__cause__ is None


def test_pixels_of_fractions_are_refused(tmp_path):
    data = dataset(RAMP)
    del data.PixelData
    data.FloatPixelData = RAMP.astype(np.float32).tobytes()
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ValueError, match="a.dcm: expected pixels of integers, got none"):
        read_radiograph(tmp_path / "a.dcm")


def test_cut_and_foreign_files_are_refused(tmp_path):
    whole = write(tmp_path / "whole.dcm", RAMP).read_bytes()
    for name, content, message in (
        ("cut.dcm", whole[:-100], "expected 6144 bytes of pixels, got 6044; download it again"),
        ("head.dcm", whole[:140], "expected a number as Columns, got none"),
        ("none.dcm", whole[: whole.index(b"\xe0\x7f\x10\x00")], "expected pixels of integers"),
        ("zero.dcm", b"", "expected a DICOM, PNG or JPEG image"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            read_radiograph(tmp_path / name)


def test_a_missing_decoder_is_named_with_its_remedy(tmp_path, monkeypatch):
    data = dataset(RAMP)
    data.compress(RLELossless)
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    decoder = type(get_decoder(RLELossless))
    monkeypatch.setattr(decoder, "is_available", property(lambda self: False))
    with pytest.raises(ValueError, match=r'RLE Lossless of 16 bits: pip install "offclip\[dicom\]'):
        read_radiograph(tmp_path / "a.dcm")
    raw = (
        (tmp_path / "a.dcm").read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.99.1.2.5.1.1")
    )
    (tmp_path / "b.dcm").write_bytes(raw)
    with pytest.raises(ValueError, match="b.dcm: expected a transfer syntax that pydicom reads"):
        read_radiograph(tmp_path / "b.dcm")


def test_a_missing_pydicom_is_named_with_its_remedy(tmp_path, monkeypatch):
    path = write(tmp_path / "a.dcm", RAMP)
    monkeypatch.delitem(sys.modules, "offclip.imaging.dicom")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ValueError, match=r'a.dcm: pydicom is needed.*"offclip\[data,dicom\]"'):
        read_radiograph(path)
