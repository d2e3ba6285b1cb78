"""What a published text file says: readings of its text, images and numbers inside it.

Nothing is parsed as one format: a page, a notebook, a script's state and an evidence file are all
text with tags and escapes, and a sentence in any of them reads the same. Imports nothing of the
package.
"""

import base64
import binascii
import html
import re
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float64, Int64

_BASE64 = "[A-Za-z0-9+/]"
_STARTS = "iVBORw0KGgo|/9j/|R0lGOD|UklGR|SUkqA|TU0AK|k05VTVBZ|UEFSMQ|UEsDB|H4sI"
_PAYLOAD = re.compile(
    rf"(?:(?:{_STARTS}){_BASE64}{{60,}}|(?<=;base64,){_BASE64}{{16,}})"
    rf"(?:(?:\s+{_BASE64}{{40,}})+(?:\s+{_BASE64}+)?)?={{0,2}}"
)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.S | re.I)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|bdi|code|em|font|i|ins|kbd|mark|q|s|small|span|strong|sub|sup|u|wbr)\b[^>]*>",
    re.I,
)
_ESCAPE = re.compile(r"\\+(?:u\{?([0-9a-fA-F]{4,6})\}?|x([0-9a-fA-F]{2})|([nrtfv])|)")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_DECIMAL = re.compile(r"(?<![\w.])-?\d*\.(\d+)(?:e([+-]?\d{1,3}))?(?!\.?\d|\w)", re.I)
_MOST_DIGITS = 6


def readings(text: str) -> list[str]:
    """The text with escapes undone: as it lies, without tags, and with words joined over tags."""
    plain = unescaped(text)
    if "<" not in plain:
        return [plain]
    joined = _HIDDEN.sub(" ", _INLINE.sub("", plain))
    apart = _HIDDEN.sub(" ", plain)
    return [plain, apart] if joined == apart else [plain, apart, joined]


def unescaped(text: str) -> str:
    """Undo HTML entities, per cent signs, and the escapes of JSON and scripts, also nested ones."""
    for _ in range(3):
        before = text
        text = html.unescape(text) if "&" in text else text
        text = unquote(text) if "%" in text else text
        text = _ESCAPE.sub(_character, text) if "\\" in text else text
        if text == before:
            break
    return _INVISIBLE.sub("", text)


def _character(escape: re.Match[str]) -> str:
    code, short, space = escape.groups()
    if space or not (code or short):
        return " " if space else ""
    number = int(code or short, 16)
    return " " if 0xD800 <= number < 0xE000 or number > 0x10FFFF else chr(number)


def payloads(text: str) -> tuple[str, list[bytes]]:
    """The text without what is encoded in it as base64, and that, decoded."""
    if ";base64," not in text and not re.search(_STARTS, text):
        return text, []
    found: list[bytes] = []

    def take(match: re.Match[str]) -> str:
        encoded = re.sub(r"[^A-Za-z0-9+/]", "", match.group())
        try:
            found.append(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
        except binascii.Error:
            return match.group()
        return " "

    wrapped = text.replace("\\n", "\n").replace("%2B", "+").replace("%2F", "/")
    return _PAYLOAD.sub(take, wrapped), found


def without_decimals(text: str) -> str:
    """The text without decimal numbers, whose digits are no identifiers; UIDs stay."""
    return _DECIMAL.sub(" ", text)


def decimals(text: str) -> tuple[Float64[np.ndarray, " number"], Int64[np.ndarray, " number"]]:
    """Decimal numbers in order, and how many digits behind the point each shows (at most 6)."""
    found = list(_DECIMAL.finditer(text))
    values = np.array([float(each.group()) for each in found], dtype=np.float64)
    digits = [len(each.group(1)) - int(each.group(2) or 0) for each in found]
    return values, np.clip(np.array(digits, dtype=np.int64), 0, _MOST_DIGITS)
