"""The reader of reports, on good and on bad input."""

import pytest

from offclip.data.openi import content_digest, parse_report, read_reports
from tests.data.synthetic import pack, report_xml, reports

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;">]>'
    '<eCitation><uId id="CXR9"/><x>&b;</x></eCitation>'
)


def test_archive_and_folder_read_alike(tmp_path):
    files = reports(12)
    archive = pack(tmp_path / "r.tgz", files)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read_reports(archive) == read_reports(tmp_path)
    assert content_digest(archive) == content_digest(tmp_path)
    assert content_digest(pack(tmp_path / "other.tgz", files, "deep/er")) == content_digest(archive)
    found = read_reports(archive).reports
    assert [report.study_id for report in found] == [f"CXR{n}" for n in range(1, 13)]
    assert found[2].majors == ("normal",)
    assert found[0].image_ids == ("CXR1_1",)


def test_malformed_reports_are_counted_and_named(tmp_path):
    files = reports(3) | {
        "bomb.xml": BOMB,
        "cut.xml": report_xml(7)[:100],
        "other.xml": "<a/>",
        "twice.xml": report_xml(1),
        "blank.xml": "",
        "empty.xml": report_xml(8),
    }
    found = read_reports(pack(tmp_path / "r.tgz", files))
    reasons = dict(found.malformed)
    assert set(reasons) == {"bomb.xml", "cut.xml", "other.xml", "twice.xml", "blank.xml"}
    assert "unsafe" in reasons["bomb.xml"]
    assert "repeats" in reasons["twice.xml"]
    assert found.counts == {"files": 9, "read": 4, "malformed": 5, "empty": 1}


@pytest.mark.parametrize("size", [0, 10, 200, -20])
def test_truncated_archive(tmp_path, size):
    archive = pack(tmp_path / "r.tgz", reports(30))
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"r\.tgz.*(damaged|none)"):
        read_reports(archive)


def test_missing_and_empty_paths(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.tgz.*check the path"):
        read_reports(tmp_path / "absent.tgz")
    with pytest.raises(ValueError, match="expected XML reports, got none"):
        read_reports(tmp_path)


def test_sections_keep_order_and_join():
    xml = report_xml(5, findings="A  b.\n c.", majors=(" Opacity/lung ", ""))
    report = parse_report(xml.encode())
    assert report.sections == {"FINDINGS": "A b. c."}
    assert report.majors == ("Opacity/lung",)
    assert report.has_text
    assert not parse_report(report_xml(5).encode()).has_text
