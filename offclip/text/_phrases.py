"""One phrase of a report to one prompt, and what a phrase is about: a finding, a place, nothing.

Part of the rule-based prompter; imports its patterns and the word lists.
"""

import re

from offclip.text import _patterns as patterns
from offclip.text.vocabulary import (
    ADJECTIVES,
    ANATOMY_NOUNS,
    FINDING_NOUNS,
    HOLLOW_WORDS,
    singular,
)

BLANK = "xxxx"
"""What stands for every blank of an anonymised report."""
_ARTICLES = frozenset(("the", "a", "an", "some", "any", "this", "these", "that", "its", BLANK))
_WITHOUT_MEANING = _ARTICLES | (HOLLOW_WORDS - {"size", "contour"})
_WITHOUT_STATEMENT = HOLLOW_WORDS | frozenset(
    ("normal", "intact", "clear", "midline", "enlarged", "possible", "probable")
)
_STATING = (
    "normal ", "clear ", "large ", "enlarged ", "tortuous ", "elevated ", "hyperinflated ",
)  # fmt: skip
_STATING_ADJECTIVES = frozenset(("calcified", "patchy", "displaced", "acute", "active", "large"))
_OF_A_PLACE = ANATOMY_NOUNS | (ADJECTIVES - _STATING_ADJECTIVES) | HOLLOW_WORDS | _ARTICLES
_NO_PLACE = FINDING_NOUNS - ANATOMY_NOUNS


def to_prompt(text: str, *, negated: bool = False, needs: str = "") -> str:
    """Clean a phrase and put "there is" or "there is no" before it; empty if nothing is left.

    ``needs`` is the part that carries the meaning: without a word of it, there is no statement.
    """
    previous = ""
    while previous != text:
        previous = text
        text = patterns.TRAILING.sub("", patterns.LEAD_IN.sub("", text.strip(" ,:")))
    words = [singular(word) for word in _tokens(text) if word not in _ARTICLES]
    if not has_meaning(needs or text) or not _states_something(words):
        return ""
    if not negated and not needs and is_anatomy(" ".join(words)):
        return ""
    return " ".join(["there is", *(["no"] if negated else []), *words])


def _states_something(words: list[str]) -> bool:
    return any(word not in _WITHOUT_STATEMENT and not word.isdigit() for word in words)


def has_meaning(phrase: str) -> bool:
    """Whether a word is left without articles, blanks and hollow words."""
    return not _WITHOUT_MEANING.issuperset(_tokens(phrase))


def last_noun(phrase: str) -> str:
    """Return the last word, singular; empty for an empty phrase."""
    words = phrase.split()
    return singular(words[-1]) if words else ""


def has_finding(phrase: str) -> bool:
    """Whether one of the words is a finding noun."""
    return any(singular(word) in FINDING_NOUNS for word in phrase.split())


def stands_alone(phrase: str) -> bool:
    """Whether a part of a list says something by itself."""
    return has_finding(phrase) or phrase.startswith(_STATING)


def is_anatomy(phrase: str) -> bool:
    """Whether the phrase only names a place ("heart and mediastinum"), stating nothing of it."""
    words = {singular(word) for word in _tokens(phrase)}
    return not words & _NO_PLACE and words <= _OF_A_PLACE


def _tokens(phrase: str) -> list[str]:
    """Split a phrase into words of letters and digits."""
    return re.findall(r"[a-z0-9]+", phrase)
