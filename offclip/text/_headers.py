"""Names of report sections, and what each is about.

The variants follow the section headers found in MIMIC-CXR; unknown names are judged by their words.
"""

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

Role = Literal["findings", "impression", "view", "anatomy", "before", "after"]
"""What a section is about: the image, the way it was taken ("view"), one part of the body
("anatomy"), what came before the reading (history, comparison), or what came after it."""

_EXAM = "EXAM(?:INATION)?S?"
_NAMES: dict[Role, tuple[str, ...]] = {
    "impression": (
        "IMPRESSIONS?", "CONCLUSIONS?", "INTERPRETATION", "OPINION",
        "FINDINGS? ?(?:AND|/|&)? ?(?:IMPRESSIONS?|CONCLUSIONS?)(?: ?[(]PFI[)])?",
    ),
    "findings": ("FINDINGS?", "REPORT", "DESCRIPTION", "OBSERVATIONS?"),
    "before": (
        "(?:CLINICAL |PATIENT |MEDICAL )?(?:HISTORY|INDICATIONS?|INFORMATION|DETAILS)",
        "CLINICAL HISTORY/INDICATIONS?", "INDICATIONS? ?(?:AND|/|&) ?HISTORY",
        f"(?:TYPE OF |REFERENCE )?{_EXAM}(?: TYPE| DATE)?", "STUDY", "PROCEDURE", "DATE", "VIEWS?",
        f"REASON(?: FOR (?:THIS |THE )?(?:{_EXAM}|STUDY|REQUEST|VISIT))?", "TECHNIQUE",
        f"COMPARISONS?(?: (?:{_EXAM}|FILMS?|STUDY|STUDIES))?", "WET ?READ",
    ),
    "after": (
        "NOTIFICATIONS?", "COMMUNICATION", "RECOMMENDATIONS?(?:[(]S[)])?", "ADDENDUM", "COMMENTS?",
        "DOSE", "(?:ELECTRONICALLY )?SIGNED(?: BY)?", "DICTATED BY",
    ),
}  # fmt: skip
_ALL = [name.replace(" ", "[ ]") for names in _NAMES.values() for name in names]
KNOWN = "(?:" + "|".join(sorted(_ALL, key=len, reverse=True)) + ")"
"""Pattern of the names that open a section wherever they stand."""
BANNER = "(?:FINAL|PRELIMINARY|INTERIM)(?:[ ](?:REPORT|ADDENDUM))+(?:[ ][(]REVISED[)])?"
"""Pattern of a line that only says what kind of report follows."""

_EXACT = {role: re.compile("|".join(names)) for role, names in _NAMES.items()}
_WORDS: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("after", re.compile(r"\b(?:NOTIFI|COMMUNICAT|ADDENDUM|SIGNED|DICTATED|ATTENDING)")),
    ("before", re.compile(r"\b(?:HISTORY|INDICATION|COMPARISON|TECHNIQUE|REASON|REFERENCE|PRIOR)")),
    ("impression", re.compile(r"\b(?:IMPRESSION|CONCLUSION)S?\b")),
    ("findings", re.compile(r"\bFINDINGS?\b")),
    ("after", re.compile(r"\bRECOMMENDATION")),
    ("before", re.compile(r"\bEXAM|\bWET READ\b")),
    ("anatomy", re.compile(
        r"^(?:(?:LEFT|RIGHT|UPPER|BILATERAL|OTHER) )?(?:LUNG|PLEURA|HEART|CARDIAC|CARDIO|MEDIASTIN"
        r"|HILA|HILUM|BONE|BONY|OSSEOUS|SOFT TISSUE|LINE|TUBE|SUPPORT|DEVICE|VASCUL|PULMONARY"
        r"|AIRWAY|TRACHEA|DIAPHRAGM|ABDOMEN|SPINE|AORTA|HARDWARE)"
    )),
    ("view", re.compile(
        r"\b(?:CHEST|PORTABLE|VIEWS?|FRONTAL|LATERAL|AP|PA|UPRIGHT|SUPINE|RIBS|RADIOGRAPHS?|FILMS?"
        r"|X-?RAYS?)\b"
    )),
)  # fmt: skip
_SPELLED: dict[str, Role] = {
    "FINDINGS": "findings", "IMPRESSION": "impression", "CONCLUSION": "impression",
    "INDICATION": "before", "COMPARISON": "before", "EXAMINATION": "before", "TECHNIQUE": "before",
}  # fmt: skip


@lru_cache(maxsize=4096)
def role(name: str) -> Role | None:
    """Return what the section ``name`` (upper case, single spaces) is about; None if unknown.

    A single word close to a common name counts as it ("IMPRESSON").
    """
    for found, pattern in _EXACT.items():
        if pattern.fullmatch(name):
            return found
    for found, pattern in _WORDS:
        if pattern.search(name):
            return found
    if 6 <= len(name) <= 13 and name.isalpha():
        for word in get_close_matches(name, _SPELLED, n=1, cutoff=0.8):
            return _SPELLED[word]
    return None
