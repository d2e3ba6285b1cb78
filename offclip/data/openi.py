"""Reader of the Open-I reports: an archive or a folder of XML files, read in memory.

Nothing is extracted to disk and no XML entity is expanded.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Report:
    """One report.

    Attributes:
        study_id: the collection's id, such as "CXR1".
        sections: section name (upper case) to its text; empty sections are left out.
        majors: MeSH annotations made by people, such as "Opacity/lung/base/left/mild".
        image_ids: ids of the images that belong to it.
        automatics: MeSH terms that a program found in the text.
    """

    study_id: str
    sections: dict[str, str]
    majors: tuple[str, ...]
    image_ids: tuple[str, ...]
    automatics: tuple[str, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether findings or impression have any text."""
        return bool(self.sections.get("FINDINGS") or self.sections.get("IMPRESSION"))


@dataclass(frozen=True)
class ReportSet:
    """Reports in the order of their numbers, and what could not be read: (file name, reason)."""

    reports: tuple[Report, ...]
    malformed: tuple[tuple[str, str], ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return files, read, malformed, and how many of the read ones are empty.

        ``files`` = ``read`` + ``malformed``; ``empty`` (no findings and no impression) is part of
        ``read``.
        """
        return {
            "files": len(self.reports) + len(self.malformed),
            "read": len(self.reports),
            "malformed": len(self.malformed),
            "empty": sum(not report.has_text for report in self.reports),
        }


def read_reports(path: str | Path) -> ReportSet:
    """Read all reports of a .tgz archive or of a folder of XML files.

    A file that is not well-formed, declares entities, has no id or repeats one is listed in
    ``malformed`` with the reason.

    Raises:
        ValueError: the path does not exist, is not an archive, is cut short, or holds no XML.
    """
    reports: dict[str, Report] = {}
    malformed: list[tuple[str, str]] = []
    files = 0
    for name, content in xml_files(path):
        files += 1
        try:
            report = parse_report(content)
        except ValueError as error:
            malformed.append((name, str(error)))
            continue
        if report.study_id in reports:
            malformed.append((name, f"repeats the id {report.study_id}"))
            continue
        reports[report.study_id] = report
    if not files:
        raise ValueError(f"{path}: expected XML reports, got none; give the archive or its folder")
    ordered = sorted(reports.values(), key=lambda each: _number(each.study_id))
    return ReportSet(tuple(ordered), tuple(sorted(malformed)))


def parse_report(content: bytes) -> Report:
    """Parse one report's XML; ``ValueError`` with the reason when it cannot be read."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ValueError(f"unsafe XML: {type(error).__name__}") from error
    except (ParseError, LookupError, ValueError) as error:
        raise ValueError(f"not well-formed XML: {error}") from error
    identity = root.find("uId")
    study_id = (identity.get("id") or "").strip() if identity is not None else ""
    if not study_id:
        raise ValueError("no uId: not an Open-I report")
    sections: dict[str, str] = {}
    for element in root.iter("AbstractText"):
        text = " ".join("".join(element.itertext()).split())
        label = (element.get("Label") or "").strip().upper()
        if text:
            sections[label] = f"{sections[label]}\n{text}" if label in sections else text
    majors, automatics = (
        tuple(filter(None, (" ".join((each.text or "").split()) for each in root.iterfind(place))))
        for place in ("MeSH/major", "MeSH/automatic")
    )
    images = filter(None, ((each.get("id") or "").strip() for each in root.iter("parentImage")))
    return Report(study_id, sections, majors, tuple(images), automatics)


def xml_files(path: str | Path) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of every XML file of an archive or folder.

    Raises:
        ValueError: as ``read_reports``.
    """
    path = Path(path)
    if path.is_dir():
        for file in sorted(path.glob("**/*.xml")):
            yield file.name, file.read_bytes()
        return
    if not path.is_file():
        raise ValueError(
            f"{path}: expected the archive of reports or a folder of XML files, got nothing there; "
            "check the path"
        )
    try:
        yield from _archive_members(path)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path}: expected a whole .tgz archive, got one that is damaged or cut short "
            f"({str(error).splitlines()[0]}); delete it and fetch it again"
        ) from error


def content_digest(path: str | Path) -> str:
    """Return sha256 over the sorted lines ``<xml name> <sha256 of its bytes>``, as hex.

    Independent of how the files are packed.
    """
    lines = sorted(
        f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in xml_files(path)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _archive_members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.lower().endswith(".xml") else None
            if file is not None:
                yield PurePosixPath(member.name).name, file.read()
        while archive.fileobj is not None and archive.fileobj.read(1 << 20):
            pass  # to the end, where gzip keeps its checksum


def _number(study_id: str) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, study_id))
    return int(digits) if digits else 0, study_id
