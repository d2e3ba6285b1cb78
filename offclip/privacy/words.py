"""Texts as words, and runs of words as hashes.

Records and pages go through the same function, so case, punctuation, white space, line breaks and
the form of an accented letter make no difference between them.
"""

import html
import re
import unicodedata

_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")
_BASE64 = re.compile("[A-Za-z0-9+/]{100,}")
_INLINE = re.compile(
    r"</?(?:a|abbr|b|code|em|font|i|kbd|mark|q|s|small|span|strong|sub|sup|u|wbr)\b[^>]*>", re.I
)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.S | re.I)
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrtfv]|)")


def words_of(text: str) -> list[str]:
    """Letters and digits in lower case; a decimal number or a DICOM UID is one word."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def numbered_words(text: str) -> tuple[list[str], list[int]]:
    """The words of a published text, and the line of each (from 1).

    HTML entities and the escapes of JSON and scripts are undone, so that HTML, notebooks, JSON and
    Markdown are read alike.
    """
    words, lines = list[str](), list[int]()
    for number, line in enumerate(text.split("\n"), start=1):
        plain = html.unescape(line)
        own = words_of(_ESCAPE.sub(_character, plain) if "\\" in plain else plain)
        words += own
        lines += [number] * len(own)
    return words, lines


def readings(text: str) -> list[str]:
    """The text with its tags, comments and scripts, and, if it has any, as a browser shows it.

    Data in base64 is left out.
    """
    text = _BASE64.sub(" ", text)
    if "<" not in text:
        return [text]
    return [text, _MARKUP.sub(_line_breaks, _INLINE.sub(_no_space, text))]


def runs(words: list[str], length: int) -> list[int]:
    """The hash of every ``length`` words in a row, in this process only."""
    if len(words) < length:
        return []
    return list(map(hash, zip(*(words[start:] for start in range(length)), strict=False)))


def _no_space(tag: re.Match[str]) -> str:
    return "\n" * tag.group().count("\n")


def _line_breaks(tag: re.Match[str]) -> str:
    return _no_space(tag) or " "


def _character(escape: re.Match[str]) -> str:
    code = escape.group(1) or escape.group(2)
    if code:
        return chr(int(code, 16))
    return "" if escape.group().endswith("\\") else " "
