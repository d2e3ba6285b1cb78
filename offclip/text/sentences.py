"""Sentences of a report section: abbreviations, decimals, numbered lists and blanked words.

Imports nothing of the package.
"""

import re

_ABBREVIATIONS = ("dr", "mr", "mrs", "ms", "vs", "e.g", "i.e", "approx", "st", "fig", "cf")
_LIST_NUMBER = re.compile(r"(?:^|(?<=[\s.;:]))\(?\d{1,2}[.)](?=\s+[A-Za-z(])")
_BOUNDARY = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+|(?<=[.])[.]+\s*|;\s+|\n+|(?<=[a-z)])\.(?=[A-Z][a-z])"
)
_ENDS_IN_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:" + "|".join(re.escape(word) for word in _ABBREVIATIONS) + r")\.$",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^(?:chest|impression|findings|lungs?|heart|bones?|mediastinum)\s*:\s*", re.I)
_WORD = re.compile(r"[A-Za-z0-9]")


def split_sentences(text: str) -> list[str]:
    """Split report text into sentences, in order, with their own punctuation and case.

    A full stop ends a sentence unless it belongs to a decimal ("1.5 cm"), an abbreviation
    ("Dr. XXXX", "vs. scar") or a list number ("2. Mild edema"). Semicolons, line breaks and list
    numbers end one too. Anonymisation blanks ("XXXX", "___") stay in place; what has no letter or
    digit is left out. A leading label such as "Chest:" is removed.

    Args:
        text: any text; may be empty.

    Returns:
        Non-empty sentences without surrounding white space.
    """
    pieces: list[str] = []
    carried = ""
    for piece in _BOUNDARY.split(_LIST_NUMBER.sub("\n", text)):
        carried = f"{carried} {piece}".strip() if carried else piece.strip()
        if _ENDS_IN_ABBREVIATION.search(carried):
            continue
        pieces.append(carried)
        carried = ""
    pieces.append(carried)
    stripped = (_LABEL.sub("", piece).strip(" -*\t") for piece in pieces)
    return [piece for piece in stripped if _WORD.search(piece)]
