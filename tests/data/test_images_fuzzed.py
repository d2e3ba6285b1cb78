"""Mutated real images: read or refused with a clear word, never a crash, a hang or a flood.

The cases run in a process of its own, with bounds on memory and on the time of a case, which says
before each what it is about to read: native decoders can take a process down. The variable
``OFFCLIP_FUZZ_CASES`` sets their number.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.paths import real_data

CASES = int(os.environ.get("OFFCLIP_FUZZ_CASES", "400"))
SECONDS, ADDRESSES = 20, 4 << 30  # of a case; of the process (some 600 MB are libraries)
ROOT = Path(__file__).resolve().parents[2]
ENDS = (b"\x00", b"\xff", b"\xff\xff", b"\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff", b"\x00\x01")
PNG = b"\x89PNG\r\n\x1a\n"
DICOM = (
    "693_J2KR.dcm", "693_UNCI.dcm", "JPEG-LL.dcm", "JPEG2000_UNC.dcm", "bad_sequence.dcm",
    "explicit_VR-UN.dcm", "MR2_J2KI.dcm", "mlut_18.dcm", "vlut_04.dcm", "RG3_J2KI.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
)  # fmt: skip


def corpus(folder):
    """Real files of every kind, small ones where there are several; made ones from real pixels."""
    from pydicom import dcmread
    from pydicom.encaps import encapsulate, get_frame
    from pydicom.uid import JPEGBaseline8Bit

    samples = Path(find_spec("data_store").origin).parent / "data"
    for name in DICOM:
        (folder / name).write_bytes((samples / name).read_bytes())
    for name in ("emri_small_jpeg_ls_lossless.dcm", "emri_small_RLE.dcm"):
        one = dcmread(samples / name)
        one.PixelData = encapsulate([get_frame(one.PixelData, 0, number_of_frames=10)])
        one.NumberOfFrames = 1
        one.save_as(folder / name)
    real = sorted((real_data("nih_cxr_256") / "images").glob("*.png"))[:3]
    for path in real:
        (folder / path.name).write_bytes(path.read_bytes())
    grey = Image.open(real[0]).convert("L")
    grey.save(folder / "plain.jpg", quality=90)
    grey.save(folder / "progressive.jpg", progressive=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    grey.save(folder / "turned.jpg", exif=turned)
    grey.convert("P").save(folder / "palette.png", transparency=3)
    grey.convert("LA").save(folder / "alpha.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "deep.png")
    one = dcmread(samples / "vlut_04.dcm")
    stream = BytesIO()
    Image.fromarray(one.pixel_array).save(stream, "JPEG")
    one.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    one.PixelData = encapsulate([stream.getvalue()])
    one["PixelData"].is_undefined_length = True
    one.save_as(folder / "baseline.dcm")


def mutated(files, case):
    """Name and bytes of a case: a function of its number."""
    generator = np.random.default_rng(case)
    names = sorted(files)
    name = names[case % len(names)]
    data = bytearray(files[name])
    for _ in range(generator.integers(1, 4)):
        data = bytearray(_mutate(data, files[names[generator.integers(len(names))]], generator))
    if data.startswith(PNG) and generator.integers(2):
        _mend_checksums(data)
    return name, bytes(data)


def _mend_checksums(data):
    """So that the chunks of a damaged PNG are looked into."""
    at = len(PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4) if end < len(data) else b""
        at = end + 4


def _mutate(data, other, generator):
    if not data:
        return data
    # headers are short, so half of the blows go there; pixels begin where their tag is
    pixels = max(data.find(b"\xe0\x7f\x10\x00"), 0)
    where = [(0, 2000), (pixels, pixels + 300), (0, len(data)), (0, len(data))]
    low, high = where[generator.integers(4)]
    at = int(generator.integers(low, min(max(high, low + 1), len(data))))
    run = int(2 ** generator.uniform(0, 12))
    kind = generator.integers(7)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(min(run, len(data) - at)) + data[at + run :]
    if kind == 2:
        start = int(generator.integers(len(other)))
        return data[:at] + other[start : start + run] + data[at + run :]
    if kind == 3:
        return data[:at] + data[at : at + run] * 2 + data[at + run :]
    if kind == 4:
        end = ENDS[generator.integers(len(ENDS))]
        return data[:at] + end + data[at + len(end) :]
    for place in generator.integers(at, min(at + run, len(data)), size=generator.integers(1, 17)):
        data[place] ^= 1 << int(generator.integers(8)) if kind == 5 else generator.integers(1, 256)
    return data


def run(folder, first, last):
    """Read the cases; one line before and one after each."""
    from offclip.data.pictures import image_facts, read_grey

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    path = Path(folder).parent / f"case-{first}"
    for case in range(first, last):
        name, data = mutated(files, case)
        path.write_bytes(data)
        print(json.dumps({"case": case, "name": name}), flush=True)
        signal.alarm(SECONDS)  # nothing catches it: it ends the process, in native code too
        start, outcome, said = time.perf_counter(), "read", ""
        for read in (image_facts, read_grey):
            try:
                read(path)
            except ValueError as error:
                outcome, said = "refused", str(error)
                assert str(path) in said
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds = time.perf_counter() - start
        print(json.dumps({"outcome": outcome, "said": said, "s": seconds, "mb": peak}), flush=True)


def fuzz(folder, first, last):
    """Lines of the cases in pairs, from another process; fails with the name of a deadly one."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__)), str(folder), str(first), str(last)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1:]} ended it: {done.returncode}, {done.stderr[-2000:]}"
    assert done.stderr == ""
    return [a | b for a, b in zip(lines[::2], lines[1::2], strict=True)]


@pytest.mark.slow
def test_mutated_images_are_read_or_refused(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    corpus(folder)
    cases = fuzz(folder, 0, CASES)
    outcomes = [each["outcome"] for each in cases]
    assert len(cases) == CASES and min(map(outcomes.count, ("read", "refused"))) > CASES / 10


if __name__ == "__main__":
    run(sys.argv[1], *map(int, sys.argv[2:]))
