"""What a DICOM header tells of a person goes no further than the file."""

import pandas as pd
import pydicom
import pytest

from offclip.data.archive import curate_archive
from offclip.privacy import local_copy
from tests.copies import writable_copy

PLANTED = {
    "PatientName": "Zzyzx^Quentin",
    "PatientID": "HOSP-7788990011",
    "PatientBirthDate": "19470321",
    "PatientAddress": "17 Umbrella Lane",
    "AccessionNumber": "ACC5544332211",
    "InstitutionName": "Saint Elsewhere",
    "ReferringPhysicianName": "Strange^Vincent",
    "StudyDescription": "Quixotic chest",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333444",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.555666777888",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.999000111222",
    "ImageComments": "Private remark",
}


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    """A curated synthetic copy whose files have header fields that name people."""
    folder = tmp_path_factory.mktemp("vindr")
    root = writable_copy("vindr_cxr", folder / "root")
    for path in sorted(root.rglob("*.dicom")):
        header = pydicom.dcmread(path)
        for name, value in PLANTED.items():
            setattr(header, name, value)
        header.file_meta.MediaStorageSOPInstanceUID = PLANTED["SOPInstanceUID"]
        header.add_new(0x00091001, "LO", "Vendor secret")
        header.save_as(path)
    return curate_archive("vindr_cxr", root, folder / "out")


def told(folder):
    """Every string of what curation wrote, and the bytes of its files."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield pd.read_parquet(path).to_csv()
        if path.is_file():
            yield path.read_bytes().decode("latin-1")


def test_nothing_of_the_header_is_kept(curated):
    everything = "\n".join(told(curated.folder)).lower()
    secrets = [*PLANTED.values(), "Vendor secret"]
    parts = [part.lower() for value in secrets for part in (value, *value.split("^"))]
    assert not [part for part in parts if part in everything]
    assert set(curated.records["patient_id"]) == set(curated.records["study_id"])
    assert curated.records["study_id"].str.fullmatch("[0-9a-f]{32}").all()


def test_its_own_public_ids_are_what_is_looked_for(curated, leaks):
    records = curated.records
    copy, one = local_copy([curated.folder]), records.iloc[0]
    pages = {"id.html": one["study_id"], "name.html": PLANTED["SOPInstanceUID"]}
    assert leaks(pages, copy) == ["id.html: line 1: identifier of a restricted record"]
