"""What metadata say of an image: the view, how it lies, its size; and nothing about a patient."""

import dataclasses
import traceback

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000

from offclip.imaging import read_radiograph
from offclip.imaging.facts import image_facts
from tests.imaging.dicoms import dataset, write

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
PLANTED = {
    "PatientName": "ROE^JANE^PLANTED", "PatientID": "MRN-8812763", "AccessionNumber": "ACC5510023",
    "InstitutionName": "PLANTED GENERAL", "StudyDate": "19870423", "PatientBirthDate": "19310817",
    "StudyInstanceUID": "1.2.826.0.1.77777.1", "ReferringPhysicianName": "DOC^PLANTED",
    "SeriesDescription": "ROE JANE PLANTED CHEST PA", "StationName": "PLANTEDROOM",
    "ImageComments": "PLANTED COMMENT", "SeriesInstanceUID": "1.2.826.0.1.77777.2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "view", "sideways"),
    [
        ({}, "", False),
        ({"ViewPosition": "PA"}, "PA", False),
        ({"ViewPosition": "ap "}, "AP", False),
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, "LATERAL", False),
        ({"ViewPosition": "LATERAL"}, "LATERAL", False),
        ({"ViewPosition": "LLO", "SeriesDescription": "CHEST PA"}, "", False),  # oblique
        ({"ViewPosition": "PA", "PatientOrientation": ["L", "F"]}, "PA", False),
        ({"ViewPosition": "AP", "PatientOrientation": ["F", "L"]}, "AP", True),
        ({"ViewPosition": "AP", "PatientOrientation": ["HL", "RF"]}, "AP", True),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, "", False),  # one is wrong
        ({"PatientOrientation": ["A", "F"]}, "LATERAL", False),
        ({"PatientOrientation": ["PR", "FL"]}, "LATERAL", False),
        ({"PatientOrientation": ["L", "F"]}, "", False),
        ({"PatientOrientation": ["L", "F"], "SeriesDescription": "Thorax lat"}, "", False),
        ({"PatientOrientation": ["A"]}, "", False),
        ({"PatientOrientation": ["X", "F"]}, "", False),
        ({"SeriesDescription": "W033 Thorax p.a."}, "", False),
        ({"SeriesDescription": "CHEST PA"}, "PA", False),
        ({"SeriesDescription": "thorax lat."}, "LATERAL", False),
        ({"SeriesDescription": "CHEST PA+LAT"}, "", False),
        ({"SeriesDescription": "PACS COPY, LATEX"}, "", False),
    ],
)
def test_views_of_dicom_files(elements, view, sideways, tmp_path):
    facts = image_facts(write(tmp_path / "a.dcm", GREY, **elements))
    assert dataclasses.astuple(facts) == (view, sideways, 4, 3, 1)
    assert facts.upright_size == (4, 3), "DICOM files are not turned"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize(
    ("orientation", "sideways"),
    [(None, False), (0, False), (1, False), (3, False), (8, True), (9, False)],
)
def test_rasters_know_how_they_lie(orientation, sideways, suffix, tmp_path):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / f"a.{suffix}", exif=exif)
    facts = image_facts(tmp_path / f"a.{suffix}")
    turned = orientation if orientation in range(1, 9) else 1
    assert dataclasses.astuple(facts) == ("", sideways, 4, 3, turned)
    assert facts.upright_size == read_radiograph(tmp_path / f"a.{suffix}").shape[::-1]


def test_what_stands_behind_the_pixels_of_a_png_turns_nothing(tmp_path):
    """It would be seen where pixels are read, and not where sizes and boxes are."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    whole = (tmp_path / "a.png").read_bytes()
    start, end = whole.index(b"eXIf") - 4, whole.index(b"IDAT") - 4
    place = whole.index(b"IEND") - 4
    moved = whole[:start] + whole[end:place] + whole[start:end] + whole[place:]
    (tmp_path / "a.png").write_bytes(moved)
    assert image_facts(tmp_path / "a.png").orientation == 1
    assert (read_radiograph(tmp_path / "a.png") == GREY).all()


def test_no_pixel_is_decoded(tmp_path):
    data = dataset(GREY, ViewPosition="PA")
    data.file_meta.TransferSyntaxUID = JPEG2000
    data.PixelData = encapsulate([b"nothing of the kind"])
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert image_facts(tmp_path / "a.dcm").view == "PA"
    with pytest.raises(ValueError, match="no JPEG 2000 begins there"):
        read_radiograph(tmp_path / "a.dcm")

    Image.fromarray(GREY).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: whole.index(b"IDAT") + 4] + b"nothing of the kind")
    assert image_facts(tmp_path / "a.png").width == 4


def test_identifiers_go_nowhere(tmp_path):
    planted = set(PLANTED.values()) | {"ROE", "PLANTED", "77777"}
    whole = write(tmp_path / "a.dcm", GREY, **PLANTED)
    facts = image_facts(whole)
    assert facts.view == "PA"
    said = [repr(facts), repr(vars(facts))]
    data = whole.read_bytes()
    generator = np.random.default_rng(0)
    for case in range(150):
        broken = bytearray(data[: generator.integers(140, len(data)) if case % 2 else None])
        for place in generator.integers(132, len(broken), size=6):
            broken[place] = generator.integers(256)
        path = tmp_path / "broken.dcm"
        path.write_bytes(broken)
        for read in (image_facts, read_radiograph):
            try:
                said.append(repr(read(path)))
            except ValueError as error:
                said += traceback.format_exception(error)
    for element in ("PhotometricInterpretation", "VOILUTFunction", "PresentationLUTShape"):
        values = PLANTED | {"WindowCenter": 5, "WindowWidth": 9, element: "ROE^JANE^PLANTED"}
        path = write(tmp_path / "c.dcm", GREY, **values)
        try:
            said.append(repr(read_radiograph(path)))
        except ValueError as error:
            said += traceback.format_exception(error)
    found = {value for value in planted if any(value in each for each in said)}
    assert not found and len(said) > 300


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "words.png").write_bytes(b"words")
    with pytest.raises(ValueError, match="words.png: expected a DICOM, PNG or JPEG image"):
        image_facts(tmp_path / "words.png")
    with pytest.raises(FileNotFoundError, match="none.dcm: expected an image file"):
        image_facts(tmp_path / "none.dcm")
    with pytest.raises(ValueError, match="a.dcm: expected a number as Columns, got none"):
        image_facts(write(tmp_path / "a.dcm", GREY, Columns=None))
