"""Files made to exhaust or to hang the reader are refused before they do; nothing is said of them.

A bound on memory is kept by ``tracemalloc`` where pydicom or the package allocate.
"""

import os
import struct
import traceback
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from offclip.data import image_header
from offclip.data.dicom import is_dicom, read_dicom
from offclip.data.image_codestream import check_runs, codestream_shape
from offclip.data.image_limits import RefusedImage
from offclip.data.pictures import image_facts, read_grey
from tests.data.dicoms import dataset, write

GREY = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
PEAK = 30_000_000


def refused(path, message):
    """Both readers refuse the file, name it and stay below the peak."""
    tracemalloc.start()
    try:
        for read in (read_grey, image_facts):
            with pytest.raises(ValueError, match=f"{path.name}: .*{message}"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    for name in ("pipe.dcm", "folder.png", "device.jpg"):
        refused(tmp_path / name, "expected a file, got a folder, pipe or device")
    (tmp_path / "a.dcm").symlink_to("b.dcm")
    (tmp_path / "b.dcm").symlink_to("a.dcm")
    refused(tmp_path / "a.dcm", "cannot be opened")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    for read in (read_grey, image_facts, read_dicom):
        with pytest.raises(FileNotFoundError, match="dangling.png: expected an image file"):
            read(tmp_path / "dangling.png")
    assert not any(map(is_dicom, tmp_path.iterdir()))


def test_empty_and_enormous_files_are_refused_unopened(tmp_path):
    (tmp_path / "zero.png").touch()
    refused(tmp_path / "zero.png", "expected a file of 1 to 500000000 bytes, got 0")
    with (tmp_path / "hole.dcm").open("wb") as file:
        file.truncate(16 << 30)  # takes no room on the disk
    refused(tmp_path / "hole.dcm", "bytes, got 17179869184")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(side * (side + 1) if side < 100 else 9)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def test_bombs_as_png_are_refused(tmp_path):
    (tmp_path / "fine.png").write_bytes(png(8))
    assert read_grey(tmp_path / "fine.png").shape == (8, 8)
    for side, message in ((100_000, "expected up to 100000000 pixels"), (12_000, "12000 × 12000")):
        (tmp_path / "huge.png").write_bytes(png(side))
        refused(tmp_path / "huge.png", message)
    packed = zlib.compress(bytes(200_000_000), 9)
    for kind, start in (
        (b"zTXt", b"Comment\0\0"),
        (b"iCCP", b"icc\0\0"),
        (b"iTXt", b"a\0\1\0\0\0"),
    ):
        (tmp_path / "bomb.png").write_bytes(png(8, *[chunk(kind, start + packed)] * 3))
        tracemalloc.start()
        try:
            assert read_grey(tmp_path / "bomb.png").shape == (8, 8)  # without the profile
        except ValueError as error:
            assert "bomb.png: expected a DICOM, PNG or JPEG" in str(error)
        assert tracemalloc.get_traced_memory()[1] < PEAK
        tracemalloc.stop()


def test_bombs_as_jpeg_are_refused(tmp_path):
    plain = tmp_path / "plain.jpg"
    Image.fromarray(GREY.astype(np.uint8)).save(plain, progressive=True)
    data = bytearray(plain.read_bytes())
    frame = data.index(b"\xff\xc2")
    huge = bytes(data[: frame + 5]) + struct.pack(">HH", 65_500, 65_500) + bytes(data[frame + 9 :])
    (tmp_path / "huge.jpg").write_bytes(huge)
    refused(tmp_path / "huge.jpg", "expected up to 100000000 pixels")
    scan = data.index(b"\xff\xda")
    (tmp_path / "scans.jpg").write_bytes(data[:-2] + data[scan:-2] * 300 + data[-2:])
    refused(tmp_path / "scans.jpg", "expected a JPEG of up to 200 scans")


def raw(tag, kind, value):
    """An element in explicit little endian with a long length."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, kind, 0, len(value)) + value


def with_front(path, front):
    """A file whose dataset begins with these bytes."""
    whole = write(path, GREY).read_bytes()
    start = whole.index(b"\x08\x00\x16\x00")
    path.write_bytes(whole[:start] + front + whole[start:])
    return path


ITEM, LAST = struct.pack("<HHI", 0xFFFE, 0xE000, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
OPEN_SEQUENCE = struct.pack("<HH2sHI", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    "front",
    [
        OPEN_SEQUENCE + ITEM * 30_000 + LAST,  # each an object of a kilobyte
        raw(0x00283010, b"SQ", ITEM * 80_000),
        raw(0x00080005, b"UC", b"\\" * 700_000),
        raw(0x00081030, b"UC", b"") * 30_000,
    ],
    ids=["items", "sized items", "values", "elements"],
)
def test_headers_that_swell_are_refused(front, tmp_path):
    path = with_front(tmp_path / "swollen.dcm", front)
    with pytest.raises(ValueError, match=r"swollen\.dcm: .*(far larger|damaged)"):
        read_grey(path)


def test_endless_nesting_is_refused(tmp_path):
    opened = OPEN_SEQUENCE + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path = with_front(tmp_path / "deep.dcm", opened * 3000)
    for read in (read_grey, image_facts):
        with pytest.raises(ValueError, match="deep.dcm: expected a DICOM file.*Recursion"):
            read(path)


def test_long_but_honest_elements_are_stepped_over(tmp_path):
    path = with_front(tmp_path / "icon.dcm", raw(0x00090010, b"OB", bytes(20_000_000)))
    assert read_grey(path).shape == GREY.shape


def test_a_deflated_bomb_is_refused(tmp_path, monkeypatch):
    data = dataset(np.zeros((3000, 3000), np.uint16))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    assert (tmp_path / "bomb.dcm").stat().st_size < 30_000
    monkeypatch.setattr(image_header, "MAX_BYTES", 1_000_000)
    refused(tmp_path / "bomb.dcm", "it unfolds to more than 1000000 bytes")


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000, JPEGLSLossless])
def test_compressed_pixels_of_another_size_are_refused(syntax, tmp_path):
    data = dataset(GREY)
    data.compress(RLELossless)
    data.file_meta.TransferSyntaxUID = syntax
    if syntax == JPEG2000:
        data.PixelData = encapsulate([j2k(20_000, 64, ())])
    elif syntax == JPEGLSLossless:
        frame = b"\xff\xf7\x00\x0b\x10" + struct.pack(">HH", 65_000, 48) + b"\x01\x01\x11\x00"
        data.PixelData = encapsulate([b"\xff\xd8\xff\xff" + frame + bytes(30)])
    else:
        data.Rows = 65
    data.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    with pytest.raises(ValueError, match=r"other.dcm: its compressed pixels are"):
        read_dicom(tmp_path / "other.dcm")


def j2k(width, height, precincts, *, component=False):
    """The first segments of a JPEG 2000 codestream."""
    size = struct.pack(">H8IH3B", 0, width, height, 0, 0, width, height, 0, 0, 1, 7, 1, 1)
    style = bytes([bool(precincts)])
    levels = bytes([5, 4, 4, 0, 0, *precincts])
    coding = (b"\0" + style if component else style + b"\0\0\1\0") + levels
    marker = b"\xff\x53" if component else b"\xff\x52"
    segments = ((b"\xff\x51", size), (marker, coding), (b"\xff\x90", bytes(20)))
    return b"\xff\x4f" + b"".join(m + struct.pack(">H", len(s) + 2) + s for m, s in segments)


@pytest.mark.parametrize("component", [False, True])
def test_precincts_of_few_pixels_are_refused(component):
    assert codestream_shape(j2k(30, 20, (), component=component)) == (30, 20, 1)
    assert codestream_shape(j2k(30, 20, (0x77, 0x88, 0x88), component=component)) == (30, 20, 1)
    with pytest.raises(RefusedImage, match="precincts are far smaller"):
        codestream_shape(j2k(30, 20, (0x77, 0x18, 0x88), component=component))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\x4f\xff\x51"]
)
def test_codestreams_that_end_at_once_are_refused(content):
    with pytest.raises(RefusedImage, match="compressed pixels are damaged"):
        codestream_shape(content)


def runs(*segments):
    """A frame of run-length encoded segments."""
    starts = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    return struct.pack("<16I", len(segments), *(starts + [0] * 15)[:15]) + b"".join(segments)


def test_runs_must_unfold_to_the_picture():
    flat, ramp = b"\x81\x07\x81\x07", bytes([127, *range(128), 127, *range(128)])
    check_runs(runs(flat, ramp, b"\x80" + flat, flat + b"\0"), 256, 4)  # as they may be padded
    for wrong in (
        runs(flat), runs(flat, flat[:2]), runs(flat, flat + flat), runs(flat, b"\xf0\x07" + flat),
        runs(flat, ramp[:-1]), b"", struct.pack("<16I", 2, 9, 10**9, *[0] * 13) + flat,
    ):  # fmt: skip
        with pytest.raises(RefusedImage, match="compressed pixels are damaged"):
            check_runs(wrong, 256, 2)


def test_a_header_is_never_quoted(tmp_path):
    """Whatever pydicom says of a broken element stays with pydicom."""
    for name, value in (("WindowWidth", "ROE^JANE"), ("RescaleSlope", "19551212J")):
        path = write(tmp_path / "a.dcm", GREY, WindowCenter=9, **{name: ("LO", value)})
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"LO", b"DS"))
        with pytest.raises(ValueError, match=r"a\.dcm: ") as refused:
            read_grey(path)
        shown = "".join(traceback.format_exception(refused.value))
        assert value not in shown and "pydicom" not in shown
