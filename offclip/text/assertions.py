"""What a sentence asserts and what it denies: its fragments, each word marked "is:" or "no:".

The idea is NegEx's (Chapman et al., J. Biomed. Inform. 34, 2001): a trigger denies the words after
it ("no", "free of") or before it ("is not seen", "has resolved"), up to the end of its clause. Some
phrases look like triggers and deny nothing ("no change in", "cannot be excluded", "not without").
"""

import re

from offclip.text._patterns import OTHERWISE, not_after
from offclip.text.vocabulary import singular

IS, NO = "is:", "no:"

_AMOUNT = (
    r"(?:(?:any|definite|significant|significantly|substantial|much|appreciable|large|interval|"
    r"acute|clear|real|obvious) )*"
)
_SEEN = (
    r"(?:seen|identified|visuali[sz]ed|present|demonstrated|noted|evident|apparent|appreciated|"
    r"observed|detected|found|enlarged|abnormal)"
)
# Looks like a denial and is none. The words stay, as one word.
_PSEUDO = re.compile(
    rf"\b(?:not only|(?:no|not|without) {_AMOUNT}(?:change[ds]?|progression|increased?|decreased?|"
    r"improvement|improved|resolution|resolved?|cleared)|"
    r"(?:no|without) (?:\w+ of )?(?:growth|enlargement) (?:of|in) (?:the |this |these )(?:known )?|"
    r"until (?:it )?(?:is |has )?(?:resolved|cleared|gone)|"
    r"ensure (?:that )?there (?:is|are) no|"
    r"(?:can|could|may) not (?:be )?(?:\w+ly )?(?:excluded?|ruled? out)|"
    r"not (?:\w+ly )?(?:excluded|ruled out|without)|no doubt|no \w+ is free|"
    r"(?:near|nearly|almost|partial|partially|incomplete|incompletely) "
    r"(?:complete |completely )?(?:resolution|resolved|clearing|cleared|gone))\b"
)
# What is there and was not there before, or shows on one view alone, is a finding: "only_here".
_ONLY_HERE = re.compile(
    rf"\b(?:not|no longer) (?:\w+ly )?{_SEEN} (?:on|in|at) (?:the |a |any )?(?:most )?(?:recent )?"
    r"(?:prior|previous|comparison|earlier|older?|last|lateral|frontal|pa|ap)\b"
)
_THIS_FINDING = re.compile(r"\b(?:this|these) (?:findings?|abnormalit(?:y|ies))\b")
LOW_NORMAL = re.compile(r"\b(?:low|high|upper)(?: limits? of)? normal\b")
POORLY_FILLED = re.compile(
    r"\b(?:poorly|incompletely|under) ?(?:expanded|inflated|aerated|ventilated)\b"
)
_ASIDE = re.compile(
    r"^without (?:any )?(?:prior |previous |old )?(?:comparisons?|priors?|films?|studies)\b,?|"
    r"\b(?:the )?(?:above )?findings (?:and recommendations )?(?=(?:were|are|have been) "
    r"(?:discussed|communicated|conveyed|called|telephoned|reported))"
)
# The denial of something normal is a finding.
DENIED_NORMAL = re.compile(r"\b(?:not|no longer) (?:\w+ly )?(?:normal|clear|intact)\b")
_BEFORE = re.compile(
    r"\b(?:no|without|not|never|neither|nor|none|nothing|negative for|free (?:of|from)|clear of|"
    r"absence of|absent|rather than|denies|resolved|resolution of|clearing of|removal of)\b"
)
DENIED_BEFORE = re.compile(
    r"\b(?:(?:is|are|was|were|has|have|been|be|being|all|now|again|completely|both) )*"
    rf"(?:(?:not|no longer) (?:\w+ly )?{_SEEN}|absent|resolved|cleared|gone|ruled out|excluded|"
    r"removed|taken out)\b"
)

# "The lungs are clear the heart is large": the second "the" begins a clause.
_RUN_ON = r"(?=(?:the|both) (?:\w+ ){1,2}(?:is|are|appears?|has|have)\b)" + not_after(
    "in of on at to by for from with and or nor as that which where whether if both all over near "
    "within no not is are was were"
)
_BORDER = re.compile(
    r"\s*(?:[;:]|(?<=\s)\(|\b(?:but|although|however|though|while|whereas|except|other than|"
    r"apart from|aside from|besides|allowing for|accounting for)\b|"
    r"(?<=\bclear) with\b|(?<=\bnormal) with\b|"
    r"\bwith (?=(?:\w+ )?(?:clear|normal|unremarkable)\b)|"
    r",\s*(?:and )?there (?:is|are)\b|\band there (?:is|are)\b|"
    r",\s*(?:with|only)\b|\b(?=without\b|with no\b|and no\b)|"
    rf"{OTHERWISE}|(?<=\w ){_RUN_ON})\s*"
)
_SIZE = re.compile(r"\b\d+(?:\.\d+)? ?(?:mm|cm|millimeters?|centimeters?)\b")
_JOINED = re.compile(r"(?<=[^\W_])[-/](?=[^\W_])")
_PIECE = re.compile(r"[^\W_]+(?:[_'][^\W_]+)*|,")


def fragments(sentence: str) -> list[list[str]]:
    """Split a sentence into fragments of marked words.

    Clauses end at semicolons, colons, "but", "apart from" and the like; fragments at commas too,
    while a denial goes on through the list: "no effusion, nodule or mass" denies all three.

    Args:
        sentence: one sentence, any case; anonymisation blanks are words.

    Returns:
        Fragments in order, each with at least one word: "is:" or "no:" and the lower-case word.
        Known plurals become singular, sizes in mm or cm one word. Empty for a text without letters
        and digits.
    """
    found: list[list[str]] = []
    for clause in _BORDER.split(_plain(sentence)):
        asserted = _asserted(clause)
        current: list[str] = []
        for piece in _PIECE.finditer(clause):
            if piece.group() == ",":
                found.append(current)
                current = []
            else:
                mark = IS if asserted[0] <= piece.start() < asserted[1] else NO
                current.append(mark + singular(piece.group()))
        found.append(current)
    return [fragment for fragment in found if fragment]


def _plain(sentence: str) -> str:
    """Lower case, one space between words, and phrases that deny nothing joined to one word."""
    text = sentence.lower().replace("___", "xxxx").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = text.replace("n't ", " not ").replace("cannot", "can not")
    text = " ".join(_JOINED.sub(" ", _SIZE.sub(" sizeunit ", text)).split())
    text = _ASIDE.sub("", text)
    text = DENIED_NORMAL.sub("abnormal", _ONLY_HERE.sub("only_here", text))
    text = LOW_NORMAL.sub("normal", _THIS_FINDING.sub("this_finding", text))
    text = POORLY_FILLED.sub("hypoinflated", text.replace("post operative", "postoperative"))
    return _PSEUDO.sub(lambda match: match.group().replace(" ", "_"), text)


def _asserted(clause: str) -> tuple[int, int]:
    """Return where in the clause words are asserted: from a trigger behind to one before."""
    after = DENIED_BEFORE.search(clause)
    start = after.start() if after else 0
    before = _BEFORE.search(clause)
    end = before.end() if before else len(clause)
    return (start, end) if start < end else (end, end)
