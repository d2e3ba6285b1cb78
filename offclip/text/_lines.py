"""Lines of a report: which breaks end a statement, and which only wrap it."""

import re

_BREAK = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BULLET = re.compile(r"[-*•–—+]+\s*[^\W\d]|[*•]+\s*\S")
_NUMBER = re.compile(r"\(?(\d{1,2})[.)](?=\s+\S|[A-Za-z(_])")
_LABEL = re.compile(r"[A-Z][A-Za-z ,/&()]{1,40}:(?=\s|$)")
_ENDED = (".", "!", "?", ";", ":", '."', '.")', ".)", ".'")
_OPEN_END = re.compile(
    r"(?:[,/(-]|\b(?:a|an|the|this|that|these|which|of|in|on|at|by|to|for|from|with|without|and|or"
    r"|but|nor|than|as|is|are|was|were|be|been|has|have|may|no|into|over|per|via|since|versus))$",
    re.IGNORECASE,
)
_LONGEST_WRAPPED = 120
_SHORTEST_WRAPPED = 50
_HEADER_WIDTH = 24
_BLANK_WIDTH = 10
_SLACK = 8


def unify_breaks(text: str) -> str:
    r"""Return the text with ``\n`` for every line or page break."""
    return _BREAK.sub("\n", text)


def unwrap(text: str) -> list[str]:
    r"""Join wrapped lines; return what is left as blocks, in order, white space collapsed.

    A blank line, a bullet and a list number start a block. Any other line continues the one before,
    unless that has no end mark, this one begins with a capital, and its first word would have
    fitted on the line before: nobody wraps there, so a new statement begins.

    Args:
        text: any text; all kinds of line breaks.

    Returns:
        Blocks that have text. Bullets and list numbers are still there.
    """
    text = unify_breaks(text)
    if "\n" not in text:
        return [" ".join(text.split())]
    lines = [line.strip() for line in text.split("\n")]
    width = max((len(line) for line in lines if len(line) <= _LONGEST_WRAPPED), default=0)
    blocks: list[list[str]] = []
    before, room, number = "", _HEADER_WIDTH, 0
    for line in lines:
        if not line:
            before = ""
            continue
        item = _NUMBER.match(line)
        listed = item is not None and (
            before.endswith(_ENDED) or int(item[1]) in (1, number + 1) or not before
        )
        if listed and item:
            number = int(item[1])
        starts = not before or listed or _BULLET.match(line)
        if starts or not _continues(before, line, width - room):
            blocks.append([line])
        else:
            blocks[-1].append(line)
        before, room = line, 0
    return [" ".join(" ".join(block).split()) for block in blocks]


def _continues(before: str, line: str, width: int) -> bool:
    """Whether ``line`` goes on where ``before`` stops; if that has an end mark, it does no harm."""
    if before.endswith(_ENDED) or not line[0].isupper() or _OPEN_END.search(before[-12:]):
        return True
    if _LABEL.match(line) or width < _SHORTEST_WRAPPED or len(before) > _LONGEST_WRAPPED:
        return False
    filled = len(before) + 1 + len(line.split(" ", 1)[0])
    return filled + _SLACK + _BLANK_WIDTH * before.count("___") > width
