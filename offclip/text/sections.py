"""Sections of a radiology report: which part of the text is about the image.

Sits at the start of the text pipeline; imports nothing of the package.
"""

import re
from collections.abc import Mapping

IMAGE_SECTIONS = ("FINDINGS", "IMPRESSION")
"""The sections that describe the image, in the order in which we read them."""

_HEADER = re.compile(r"^[ \t]*([A-Z][A-Z ()/&-]{2,40}):", re.MULTILINE)


def split_sections(text: str) -> dict[str, str]:
    """Split a free-text report at its upper-case headers (``FINDINGS:``, ``IMPRESSION:``, ...).

    Text before the first header is kept under the empty name. A header that occurs twice has its
    texts joined by a line break.

    Args:
        text: the whole report.

    Returns:
        Header (upper case, without the colon) to its text, in order of appearance.
    """
    sections: dict[str, str] = {}
    marks = list(_HEADER.finditer(text))
    starts = [("", 0, marks[0].start() if marks else len(text))]
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        end = following.start() if following else len(text)
        starts.append((" ".join(mark.group(1).split()), mark.end(), end))
    for name, start, end in starts:
        body = text[start:end].strip()
        if name or body:
            sections[name] = "\n".join(filter(None, [sections.get(name, ""), body]))
    return sections


def image_text(sections: Mapping[str, str]) -> str:
    """Join findings and impression, the parts that describe the image; empty when both are."""
    return "\n".join(filter(None, (sections.get(name, "").strip() for name in IMAGE_SECTIONS)))
