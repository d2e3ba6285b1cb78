"""Sentences of a report section: abbreviations, decimals, numbered lists and blanked words."""

import re
from collections.abc import Iterator

from offclip.text._lines import unwrap

_NEVER_LAST = frozenset("dr drs mr mrs ms prof vs e.g i.e approx st fig figs cf ca".split())
_BEFORE_A_NUMBER = frozenset(
    "no nos vol ext jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_LAST_BEFORE_A_CAPITAL = frozenset(
    "a.m p.m am pm cm mm ft lb kg ml cc min sec hr hrs yr yrs mo mos wk wks etc jr sr inc al lat"
    " ant post sup inf rt lt bilat pt dept temp max incl esp".split()
)
_BEFORE_AN_INITIAL = frozenset("dr. drs. mr. mrs. ms. prof. by with and to from".split())
_STARTERS = frozenset(
    "The There This These It No Heart Lungs Left Right Bones Mild Small Stable".split()
)
_STOP = re.compile(
    r"(?P<mark>[.!?]++[\"')\]\u201d\u2019]*+(?=\s|$))"
    r"|(?P<run_on>[.!?]++(?=[A-Z][a-z]))"
    r"|[.!?]++"
    r"|(?P<sure>;(?=\s|$)|[\u3002\uff01\uff1f]+)"
    r"|(?<=\s)\(?(?P<number>[0-9]{1,2})[.)](?=\s[A-Za-z(]|[A-Z])"
)
_LEAD = re.compile(
    r"[\s*•–—-]*(?:(?:chest|findings?|impression|conclusion)\s*:\s*)?"
    r"(?:\(?(?P<number>[0-9]{1,2})[.)](?=\s+\S|[A-Za-z(_])\s*)?",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*[\"'(\[\u201c\u2018]*")
_SECOND = re.compile(r"(?<=\s)\(?2[.)](?=\s[A-Za-z(]|[A-Z])")
_LIST_REACH = 400
_WINDOW = 32


def split_sentences(text: str) -> list[str]:
    r"""Split report text into sentences, in order, with their own punctuation and case.

    A full stop ends a sentence unless it belongs to a decimal ("1.5 cm"), an abbreviation
    ("Dr. XXXX", "vs. scar", "at 9 a.m. on"), an initial ("E. coli"), an ellipsis before a small
    letter, or a list number ("2. Mild edema"). Semicolons, blank lines, bullets and list numbers
    end one too. So does a full stop without a space ("clear.Heart"). A line break ends one only
    where it cannot be wrapping (``offclip.text._lines.unwrap``).

    Anonymisation blanks ("XXXX", "___") stay in place. Removed are: pieces without any letter or
    digit, list numbers, bullets, the final semicolon, the second of two final dots, and the labels
    "Chest:", "Findings:", "Impression:" and "Conclusion:" at the start. Other labels ("LUNGS:")
    stay, as they say what the sentence is about. Time is linear in the length of the text.

    Args:
        text: any text; may be empty.

    Returns:
        Non-empty sentences without surrounding white space, inner white space collapsed.
    """
    pieces = (piece.strip(" -*•;") for block in unwrap(text) for piece in _pieces(block))
    return [_one_dot(piece) for piece in pieces if any(map(str.isalnum, piece))]


def _pieces(block: str) -> Iterator[str]:
    """Cut one block at its boundaries and leave out what leads a sentence."""
    start = position = number = 0
    while True:
        if start == position and (lead := _LEAD.match(block, start)):
            number = int(lead["number"] or number)
            start = position = lead.end()
        stop = _STOP.search(block, position)
        if stop is None:
            yield block[start:]
            return
        position = stop.end()
        if stop["number"]:
            if int(stop["number"]) == number + 1 and (number or _begins_list(block, stop.start())):
                yield block[start : stop.start()]
                start = position = stop.start()
            else:
                position -= 1
        elif stop["sure"] or _ends(block, start, stop):
            yield block[start:position]
            start = position


def _begins_list(block: str, at: int) -> bool:
    """Whether a "1." within a sentence is a list number: after a colon, or with a "2." to come."""
    return block[at - 2] == ":" or bool(_SECOND.search(block, at, at + _LIST_REACH))


def _ends(block: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a full stop, a question mark or an exclamation mark ends the sentence."""
    if stop.lastgroup is None:
        return False  # inside a number or a word
    after = _AFTER.match(block, stop.end())
    at = after.end() if after else stop.end()
    following = block[at : at + 1]
    if not following:
        return True
    before = block[max(start, stop.start() - _WINDOW) : stop.start()]
    if stop.group()[0] in "?!":
        return not (following.islower() and before.endswith(" "))
    if stop.group().startswith(".."):
        return not following.islower()
    *others, word = before.split(" ")
    word = word.lstrip("([\"'")
    if stop["run_on"] and len(word) == 1 and word.isalpha():
        return False
    return _ends_after(word, others[-1] if others else "", block, at)


def _ends_after(word: str, previous: str, block: str, at: int) -> bool:
    """Whether a full stop after ``word`` ends the sentence, with ``block[at:]`` after it."""
    following = block[at]
    if len(word) == 1 and word.isupper():
        return not following.islower() and not _is_initial(previous, block, at)
    lower = word.lower()
    if lower in _NEVER_LAST:
        return False
    if lower in _BEFORE_A_NUMBER:
        return not following.isdigit()
    if lower in _LAST_BEFORE_A_CAPITAL or (len(lower) > 1 and lower[1::2].strip(".") == ""):
        capital = following.isupper() and not block.startswith("XXXX", at)
        lead = _LEAD.match(block, at)
        return capital or bool(lead and lead["number"])
    return True


def _is_initial(previous: str, block: str, at: int) -> bool:
    """Whether a capital with a full stop abbreviates a name: "Dr. A. Smith", "J. Doe said"."""
    if not previous or (len(previous) == 2 and previous[0].isupper() and previous[1] == "."):
        return True
    if not block[at].isupper():
        return False
    following = block[at : at + _WINDOW].split(" ", 1)[0]
    named = previous.lower() in _BEFORE_AN_INITIAL or (previous.endswith(",") and previous[2:])
    return bool(named) and following not in _STARTERS


def _one_dot(piece: str) -> str:
    return piece[:-1] if piece.endswith("..") and not piece.endswith("...") else piece
