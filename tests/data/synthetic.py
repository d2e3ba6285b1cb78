"""Synthetic reports in Open-I's XML, of our own words."""

import io
import tarfile
from pathlib import Path
from xml.sax.saxutils import escape

NORMAL = "The lungs are clear. Heart size is normal. No effusion in case {0}."
ABNORMAL = "Cardiomegaly in case {0}. No pneumothorax. Small left pleural effusion."


def report_xml(
    number: int, *, findings: str = "", impression: str = "", majors: tuple[str, ...] = ()
) -> str:
    annotated = "".join(f"<major>{escape(major)}</major>" for major in majors)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{number}"/><Abstract>'
        f'<AbstractText Label="FINDINGS">{escape(findings)}</AbstractText>'
        f'<AbstractText Label="IMPRESSION">{escape(impression)}</AbstractText></Abstract>'
        f'<MeSH>{annotated}</MeSH><parentImage id="CXR{number}_1"/></eCitation>'
    )


def reports(count: int) -> dict[str, str]:
    """``count`` reports, a third of them normal, as file name to XML."""
    files = {}
    for number in range(1, count + 1):
        normal = number % 3 == 0
        files[f"{number}.xml"] = report_xml(
            number,
            findings=(NORMAL if normal else ABNORMAL).format(number),
            impression="No acute disease." if normal else "Cardiomegaly.",
            majors=("normal",) if normal else ("Cardiomegaly/mild", "Pleural Effusion/left/small"),
        )
    return files


def pack(path: Path, files: dict[str, str], folder: str = "reports") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
