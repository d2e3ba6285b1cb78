"""Files as they occur, with the errors of real writers: the right image, or one line."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from offclip.imaging import read_radiograph
from offclip.imaging.read import is_image
from tests.imaging.dicoms import dataset, write
from tests.paths import cases

GREY = np.tile(np.arange(64) * 255 // 63, (48, 1))
GREY[10:20, 10:30] = 255 - GREY[10:20, 10:30]  # not the same upside down
EIGHT, TWELVE = GREY.astype(np.uint8), np.rint(GREY / 255 * 4095).astype(np.uint16)
SIGNED = TWELVE.astype(np.int16) - 2048
OVERLAY = (GREY > 200).astype(np.uint16) << 15
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def assert_shows(path, expected, tolerance=1):
    assert np.abs(read_radiograph(path).astype(int) - expected).max() <= tolerance


def stored(path, pixels=TWELVE, *, without=(), **elements):
    """A DICOM file of 12 bits stored, without some of its elements."""
    with disable_value_validation():
        data = dataset(pixels, **{"BitsStored": 12, "HighBit": 11} | elements)
        data["PixelData"].VR = "OW"
        for name in without:
            del data[name]
        data.save_as(path, enforce_file_format=True)
    return path


def compressed(path, stream, syntax, pixels=EIGHT, **elements):
    data = dataset(pixels, **elements)
    data.file_meta.TransferSyntaxUID, data.PixelData = syntax, encapsulate([stream])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path, enforce_file_format=True)
    return path


def encoded(pixels, file_format, **options):
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, file_format, **options)
    return stream.getvalue()


def lookup(entries, descriptor, vr="US", first_vr="US"):
    """A sequence of one lookup table, as written."""
    item = Dataset()
    item.add_new("LUTDescriptor", first_vr, descriptor)
    item.add_new("LUTData", vr, entries if isinstance(entries, bytes) else list(map(int, entries)))
    return [item]


def test_shared_dicom_files_show_the_right_image():
    folder = cases("dicom")
    with np.load(folder / "wanted.npz") as wanted:
        for name in wanted:
            tolerance = 6 if "jpeg8" in name else 1  # lossy
            assert_shows(folder / f"{name}.dcm", wanted[name], tolerance)


def test_shared_png_files_are_white_at_their_used_bits():
    for path in sorted(cases("png").glob("*.png")):
        grey = read_radiograph(path).astype(int)
        differs = np.abs(grey - np.arange(64) * 255 / 63) > 2
        assert differs.mean() < 0.01 and (grey[differs] == 255).all(), path.name  # markers


@pytest.mark.parametrize(
    "name",
    ["BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
     "PhotometricInterpretation"],
)  # fmt: skip
def test_missing_and_empty_elements_have_their_usual_values(name, tmp_path):
    assert_shows(stored(tmp_path / "missing", without=[name], **WINDOW), GREY)
    assert_shows(stored(tmp_path / "empty", **{name: None}, **WINDOW), GREY)


@pytest.mark.parametrize(
    "elements",
    [
        {"HighBit": 15},  # and no value has bits there
        {"HighBit": 7},
        {"BitsStored": 8, "HighBit": 7},  # values have more
        {"BitsStored": 99},
        {"BitsStored": 0},
        {"BitsAllocated": 8},
        {"BitsAllocated": 12},
        {"NumberOfFrames": 0},
        {"kind": " monochrome2 "},
        {"pixels": TWELVE << 4, "HighBit": 15},  # in the upper bits of a word
        {"pixels": TWELVE | OVERLAY},
        {"pixels": SIGNED, "WindowCenter": 0},
        {"pixels": SIGNED & 0xFFF, "PixelRepresentation": 1, "WindowCenter": 0},
        {"pixels": SIGNED << 4, "HighBit": 15, "WindowCenter": 0},
        {"pixels": SIGNED, "RescaleIntercept": 2048},
        {"RescaleSlope": "0.25", "RescaleIntercept": "-100.5", "WindowCenter": 411.375,
         "WindowWidth": 1024},
        {"WindowCenter": [2048, 10], "WindowWidth": [4096, 1]},
        {"WindowCenter": [1, 2048], "WindowWidth": [0, 4096]},
        {"WindowWidth": 0},  # then from the lowest to the highest
        {"WindowWidth": -4096},
        {"WindowCenter": None},
        {"WindowWidth": 0, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 2047.5, "WindowWidth": 4095, "VOILUTFunction": "LINEAR_EXACT"},
        {"VOILUTFunction": "linear"},
    ],
    ids=str,
)  # fmt: skip
def test_headers_with_errors_show_the_right_image(elements, tmp_path):
    assert_shows(stored(tmp_path / "a", **WINDOW | elements), GREY)


def test_padding_beyond_the_stored_bits_is_black(tmp_path):
    padded, expected = TWELVE.copy(), GREY.copy()
    padded[:5], expected[:5] = 65535, 0
    assert_shows(stored(tmp_path / "a", padded, PixelPaddingValue=65535, **WINDOW), expected)


INVERTED = 4095 - np.arange(4096)
NARROW = (INVERTED // 16).astype(np.uint8)


@pytest.mark.parametrize(
    "elements",
    [
        {"ModalityLUTSequence": lookup(INVERTED, [4096, 63488, 16]), "pixels": SIGNED},
        {"VOILUTSequence": lookup(INVERTED, [4096, 64512, 12]), "RescaleIntercept": -1024},
        {"VOILUTSequence": lookup(INVERTED, [4096, -25536, 12], first_vr="SS"),
         "pixels": (TWELVE + 40_000).astype(np.uint16), "BitsStored": 16},
        {"VOILUTSequence": lookup(NARROW, [4096, 0, 8])},
        {"VOILUTSequence": lookup(NARROW.tobytes(), [4096, 0, 8], "OW")},
        {"VOILUTSequence": lookup(NARROW.view("<u2"), [4096, 0, 8])},
        {"VOILUTSequence": lookup(INVERTED.astype("<u2").tobytes(), [4096, 0, 16], "OW")},
        {"VOILUTSequence": lookup((INVERTED * 16).astype(np.uint16).view(np.int16),
                                  [4096, 0, 16], "SS")},
        {"VOILUTSequence": [Dataset(), *lookup(INVERTED, [4096, 0, 12])]},
        {"kind": "MONOCHROME1", "VOILUTSequence": [Dataset()], **WINDOW},
        {"PresentationLUTShape": "inverse"},
        {"RescaleSlope": -1},
    ],
    ids=str,
)  # fmt: skip
def test_tables_are_applied_however_they_are_written(elements, tmp_path):
    assert_shows(stored(tmp_path / "a", **elements), 255 - GREY, tolerance=2)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_dicom(implicit, tmp_path):
    data = dataset(TWELVE, BitsStored=12, HighBit=11)
    del data.file_meta
    dcmwrite(tmp_path / "bare", data, implicit_vr=implicit, little_endian=True)
    assert_shows(tmp_path / "bare", GREY)
    assert is_image(tmp_path / "bare")


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_eight_bits_of_jpeg_in_sixteen(bits, tmp_path):
    stream = encoded(EIGHT, "JPEG", quality=97)
    sizes = {"BitsStored": bits, "HighBit": bits - 1}
    for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        assert_shows(compressed(tmp_path / "a", stream, syntax, TWELVE, **sizes), GREY, tolerance=6)
    stream = encoded(EIGHT, "JPEG2000", no_jp2=True)
    assert_shows(compressed(tmp_path / "b", stream, JPEG2000Lossless, TWELVE, **sizes), GREY)
    if bits > 8:  # a window in other units than the values would be black
        with pytest.raises(ValueError, match="nearly one even grey"):
            read_radiograph(write_windowed(tmp_path / "c", stream, sizes))


def write_windowed(path, stream, sizes):
    return compressed(path, stream, JPEG2000Lossless, TWELVE, **sizes, **WINDOW)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_overlays_in_a_codestream_are_no_values(syntax, tmp_path):
    data = dataset(TWELVE | OVERLAY)
    data.compress(syntax)
    data.BitsStored, data.HighBit = 12, 11
    data.save_as(tmp_path / "a", enforce_file_format=True)
    assert_shows(tmp_path / "a", GREY)


def test_codestreams_that_do_not_fit_are_refused(tmp_path):
    whole = encoded(EIGHT, "JPEG", quality=97)
    wide = encoded((TWELVE << 4), "JPEG2000", irreversible=False, no_jp2=True)
    for stream, syntax, cause in (
        (encoded(EIGHT.T, "JPEG"), JPEGBaseline8Bit, "48 × 64 with 1 channels, its header has 64"),
        (encoded(EIGHT.T, "JPEG2000", no_jp2=True), JPEG2000Lossless, "48 × 64 with 1 channels"),
        (encoded(np.dstack([EIGHT] * 3), "JPEG"), JPEGBaseline8Bit, "with 3 channels"),
        (whole[:-300], JPEGBaseline8Bit, "compressed pixels are cut"),
        (wide[: len(wide) // 2], JPEG2000Lossless, "compressed pixels are cut"),
        (wide[: len(wide) // 2] + b"\xff\xd9", JPEG2000Lossless, "or its pixels are damaged"),
        (b"\xff\xd8", JPEGBaseline8Bit, "no JPEG frame begins there"),
    ):
        path = compressed(tmp_path / "a.dcm", stream, syntax)
        with pytest.raises(ValueError, match=rf"a\.dcm: .*{cause}"):
            read_radiograph(path)
    native = dataset(EIGHT)
    native.PixelData = encapsulate([whole])
    native.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    with pytest.raises(ValueError, match="b.dcm: its pixels are compressed"):
        read_radiograph(tmp_path / "b.dcm")


def test_twelve_bits_of_jpeg_without_a_decoder_are_named(tmp_path, monkeypatch):
    stream = bytearray(encoded(EIGHT, "JPEG"))
    frame = stream.index(b"\xff\xc0")
    stream[frame + 1], stream[frame + 4] = 0xC1, 12
    path = compressed(tmp_path / "a.dcm", bytes(stream), JPEGExtended12Bit, TWELVE)
    decoder = get_decoder(JPEGExtended12Bit)
    plugins = {name: each for name, each in decoder._available.items() if name == "pillow"}
    monkeypatch.setattr(decoder, "_available", plugins)  # which reads 8 bits only
    with pytest.raises(ValueError, match=r"JPEG Extended .* of 12 bits: pip install"):
        read_radiograph(path)


def test_a_header_is_never_quoted(tmp_path):
    """Whatever pydicom reports of a broken element stays with pydicom."""
    for name, value in (("WindowWidth", "ROE^JANE"), ("RescaleSlope", "19551212J")):
        path = write(tmp_path / "a.dcm", EIGHT, WindowCenter=9, **{name: ("LO", value)})
        path.write_bytes(path.read_bytes().replace(b"LO", b"DS"))
        with pytest.raises(ValueError, match=r"a\.dcm: ") as refused:
            read_radiograph(path)
        assert value not in str(refused.value) and refused.value.__suppress_context__
