"""Sections of a radiology report: which part of the text is about the image.

Sits at the start of the text pipeline; imports the header names and the line breaks of this part.
"""

import re
from collections.abc import Mapping

from offclip.text._headers import BANNER, KNOWN, Role, role
from offclip.text._lines import unify_breaks

_HEADER = re.compile(
    rf"^[ \t]*(?:(?P<banner>{BANNER})[ \t]*$|(?P<alone>{KNOWN}|Findings|Impression)[ \t]*$"
    rf"|(?P<known>(?=[A-Z])(?i:{KNOWN}))[ \t]*:"
    r"|(?P<upper>[A-Z][A-Z0-9 ()/&,.#'_-]{1,60}):(?!\d))"
    rf"|(?<=\s)(?P<inline>{KNOWN})[ \t]*:",
    re.MULTILINE | re.ASCII,
)
_PARAGRAPH = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_ABOUT_THE_PATIENT = re.compile(
    r"year[- ]old|\byo\b|\by/o\b|^(?:history|indication|comparison|reason|technique|compared)\b"
    r"|\b(?:evaluate|assess|eval|rule out|please) ",
    re.IGNORECASE,
)
_END_MARKS = (".", "!", "?", ";", ":")


def split_sections(text: str) -> dict[str, str]:
    r"""Split a free-text report at its headers (``FINDINGS:``, ``IMPRESSION:``, ...).

    A header is an upper-case name with a colon at the start of a line. Common names also count in
    lower case there, without a colon on a line of their own, and in upper case within a line.
    Inside a section about the image, an unknown name ("LUNGS:") is part of the text. Outside of
    one, a part of the body opens ``FINDINGS`` and stays in its text.

    Text before the first header is kept under the empty name, and so is what follows a banner line
    ("FINAL REPORT"), which is removed. A header that occurs twice has its texts joined by a line
    break, or by a blank line where the first has no end mark.

    Args:
        text: the whole report; all kinds of line breaks.

    Returns:
        Header (upper case, without the colon) to its text, in order of first appearance.
    """
    text = unify_breaks(text)
    bodies: dict[str, list[str]] = {}
    name, start, about = "", 0, None
    for mark in _HEADER.finditer(text):
        found = " ".join((mark["alone"] or mark["known"] or mark["upper"] or mark["inline"] or "")
                         .upper().split())  # fmt: skip
        found_role = role(found)
        begin = mark.end()
        if mark["upper"]:
            if about in ("findings", "impression", "view") and found_role in (
                "anatomy", "view", None,
            ):  # fmt: skip
                continue
            if found_role == "anatomy":
                found, found_role, begin = "FINDINGS", "findings", mark.start()
        _keep(bodies, name, text[start : mark.start()])
        name, start, about = found, begin, found_role
    _keep(bodies, name, text[start:])
    return {name: _join(parts) for name, parts in bodies.items()}


def image_text(sections: Mapping[str, str]) -> str:
    """Join findings and impression, the parts that describe the image.

    Findings come first. Names are read as in MIMIC-CXR: "CONCLUSION" is an impression, "FINDINGS
    AND IMPRESSION" belongs to both, "CHEST, TWO VIEWS" holds the findings where no other section
    does. Where all of these are empty, the reading is what follows the first paragraph of the last
    section before recommendations and the like. In text without any header, it is all of it but
    leading paragraphs that are a title or speak of the patient.

    Args:
        sections: name to text, as from ``split_sections`` or ``offclip.data.openi``.

    Returns:
        The text, possibly empty. Parts are joined by a line break, or by a blank line where the
        first has no end mark.
    """
    by_role: dict[Role | None, list[str]] = {}
    for name, text in sections.items():
        if name and text.strip():
            by_role.setdefault(role(" ".join(name.upper().split())), []).append(text.strip())
    findings = by_role.get("findings") or by_role.get("view") or []
    return _join([*findings, *by_role.get("impression", [])]) or _reading(sections)


def _keep(bodies: dict[str, list[str]], name: str, body: str) -> None:
    body = body.strip()
    if name or body:
        bodies.setdefault(name, []).extend([body] if body else [])


def _join(parts: list[str]) -> str:
    joins = ("\n" if part.endswith(_END_MARKS) else "\n\n" for part in parts)
    return "".join(piece for pair in zip(parts, joins, strict=True) for piece in pair).strip()


def _reading(sections: Mapping[str, str]) -> str:
    """The paragraphs that read as findings in a report that has no section of that name."""
    for name, text in reversed(list(sections.items())):
        paragraphs = list(filter(None, map(str.strip, _PARAGRAPH.split(text))))
        if not name:
            last = paragraphs[-1:] if len(sections) == 1 else []
            while paragraphs and _leads(paragraphs[0]):
                del paragraphs[0]
            return "\n\n".join(paragraphs or last)
        if role(" ".join(name.upper().split())) != "after" and len(paragraphs) > 1:
            return "\n\n".join(paragraphs[1:])
    return ""


def _leads(paragraph: str) -> bool:
    """Whether a paragraph is a title or speaks of the patient, not of the image."""
    title = "\n" not in paragraph and not paragraph.endswith(_END_MARKS)
    return title or bool(_ABOUT_THE_PATIENT.search(paragraph))
