"""From a report sentence to "there is ..." and "there is no ..." prompts, by rules.

The paper has a large language model rewrite each report; credentialed text must not leave the
machine, so the default here is a set of rules that is deterministic and needs no model. Its output
has the form of the evaluation prompts ("there is pleural effusion").
"""

import re
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from offclip.text import _patterns as patterns
from offclip.text._phrases import (
    BLANK,
    has_finding,
    has_meaning,
    is_anatomy,
    last_noun,
    stands_alone,
    to_prompt,
)
from offclip.text.assertions import (
    DENIED_BEFORE,
    DENIED_NORMAL,
    IS,
    LOW_NORMAL,
    POORLY_FILLED,
    fragments,
)
from offclip.text.sentences import split_sentences
from offclip.text.vocabulary import ADJECTIVES, ANATOMY_NOUNS, NAMED_FINDINGS

_BRACKETS = re.compile(r"\(([^)]*)\)?")
_REMAINS = re.compile(r"\bremains?\b")
_SLASH = re.compile(r"\s*/\s*")
_OTHER_SIGNS = re.compile(r"[^a-z0-9,;: ]+")
_MEASURE = re.compile(
    r"\b(?:(?:approximately|about|up to|measuring|measures?) )*\d+(?:\.\d+)?"
    r"(?: ?(?:mm|cm)? ?(?:x|by) ?\d+(?:\.\d+)?)* ?(?:mm|cm|millimeters?|centimeters?)\b"
    r"(?: in (?:size|diameter))?"
)
_FINDING_LIST = re.compile(
    r"(\s*(?:,\s*(?:and|or|nor|with)\b|,|\band\b|\bor\b|\bnor\b|\bwith\b)\s*)"
)
_LIST = re.compile(r"\s*(?:,\s*(?:and|or|nor)\b|,|\band\b|\bor\b|\bnor\b)\s*")
_SIZE_TAIL = re.compile(
    r"^(?P<adjective>(?:\w+ly )?(?:normal|enlarged|prominent|clear|intact|small|large))"
    r" (?:in|for|of) (?P<tail>[a-z ,]+)$"
)
_LOOSE_PREDICATE = re.compile(
    r"^(?P<what>(?:[a-z]+[ ,]+)*[a-z]+) (?P<predicate>(?:grossly |mildly |borderline )?"
    r"(?:normal|clear|intact|midline|enlarged|hyperinflated|hyperexpanded|hypoinflated|tortuous))$"
)
_VIEWS_SHOW = re.compile(r"^[^,.]*\b(?:views?|radiographs?) .*?\b(?:show|demonstrate|reveal)s?\b")
_SEEN = re.compile(r"^(?:also )?(?:seen|noted|identified|present|visualized|demonstrated)\b\s*")


@runtime_checkable
class Prompter(Protocol):
    """Rewrites one sentence into prompts; an empty list when it says nothing about the image."""

    def __call__(self, sentence: str) -> list[str]:
        """Return lower-case prompts, each beginning with "there is"."""
        ...


class RulePrompter:
    """Rule-based prompter: deterministic, offline, no state.

    Negation reaches over lists ("no effusion or pneumothorax" gives two prompts). A statement
    about a structure becomes adjective and noun ("lungs are clear" gives "there is clear lung";
    "within normal limits" and "unremarkable" become "normal"). Hedges are kept as "possible" or
    "probable" before what they hedge. Left out: comparisons with earlier images (not visible in
    this one), sizes in mm or cm, articles, anonymisation blanks, and sentences about the
    examination, the reader or the next step. If nothing is left of a sentence that asserts a
    finding by name, the finding alone is the prompt; a sentence of advice makes it "possible".
    """

    def __call__(self, sentence: str) -> list[str]:
        """Return the prompts of one sentence, without repeats, in order of appearance."""
        text = _normalise(sentence)
        advice = patterns.NOT_ABOUT_THE_IMAGE.search(text)
        if advice and not patterns.ADVICE_APART.search(text):
            return [_mark(prompt, "possible") for prompt in _named(sentence)]
        found: list[str] = []
        for part in patterns.ADVICE_APART.split(text) if advice else [text]:
            if patterns.NOT_ABOUT_THE_IMAGE.search(part):
                found += [_mark(prompt, "possible") for prompt in _named(part)]
            else:
                found += _prompts(part)
        return list(dict.fromkeys(found)) or _named(sentence)


def report_prompts(text: str, prompter: Prompter) -> tuple[list[str], list[str], int]:
    """Return a report's sentences, its prompts and how many sentences gave no prompt.

    Args:
        text: findings and impression.
        prompter: rewrites one sentence.

    Returns:
        Sentences in order; prompts in order of first appearance, each once; the number of
        sentences without a prompt (blanks only, or not about the image).
    """
    sentences = split_sentences(text)
    rewritten = [prompter(sentence) for sentence in sentences]
    prompts = list(dict.fromkeys(prompt for group in rewritten for prompt in group))
    return sentences, prompts, sum(not group for group in rewritten)


def _normalise(sentence: str) -> str:
    """Lower case; one form for blanks, slashes, hyphens and "remains"; no brackets or sizes."""
    text = sentence.lower().replace("x-xxxx", "x ray").replace("___", BLANK)
    text = text.replace("(s)", "s").replace("'s", "").replace("'", "")
    text = _BRACKETS.sub(_in_brackets, text)
    text = _MEASURE.sub(" ", text)
    text = re.sub(r"\bair[ -]?space\b", "airspace", text)
    text = re.sub(r"\bcardio[ -]mediastinal\b", "cardiomediastinal", text)
    text = _VIEWS_SHOW.sub("", text)
    text = _REMAINS.sub("is", text)
    text = POORLY_FILLED.sub("hypoinflated", LOW_NORMAL.sub("normal", text))
    text = text.replace("post operative", "postoperative")
    text = text.replace("post-operative", "postoperative")
    text = text.replace("lower lung volume", "low lung volume")
    text = DENIED_NORMAL.sub("abnormal", re.sub(r"\bnot without\b", "with", text))
    text = _OTHER_SIGNS.sub(" ", _SLASH.sub(" or ", text))
    return " ".join(text.split()).strip(" ,;:")


def _in_brackets(match: re.Match[str]) -> str:
    """Return a finding in brackets as a clause of its own; leave out anything else."""
    return f"; {match[1]};" if has_finding(match[1]) else " "


def _statements(clause: str) -> Iterable[str]:
    """Return the prompts of one clause: negated, hedged, predicated or plain."""
    clause = clause.strip(" ,")
    missing = DENIED_BEFORE.search(clause)
    if missing and missing.start() and not patterns.HEDGE.search(clause):
        denied, further = clause[: missing.start()], clause[missing.end() :]
        return [*_negatives(denied), *(_statements(further) if further[:1] == "," else [])]
    bare = patterns.LEAD_IN.sub("", clause)
    for text in (clause, bare):
        if negation := patterns.NEGATION_START.match(text):
            return _negatives(text[negation.end() :])
    hedge = patterns.HEDGE.search(clause)
    if hedge:
        return _hedged(clause, hedge)
    copula = patterns.COPULA.search(bare)
    if copula:
        return _predicated(bare[: copula.start()], bare[copula.end() :])
    loose = _LOOSE_PREDICATE.match(bare)
    if loose and last_noun(loose["what"]) in ANATOMY_NOUNS:
        return _predicated(loose["what"], loose["predicate"])
    return _positives(bare)


def _prompts(text: str) -> Iterable[str]:
    """Return the prompts of a sentence about the image, or of a part of one."""
    text = patterns.NO_CHANGE.sub("", text)
    text = patterns.WITHIN_NORMAL.sub("normal", patterns.COMPARISON.sub(" ", text))
    clauses = (" ".join(clause.split()) for clause in patterns.CLAUSE.split(text))
    return [prompt for clause in clauses if clause for prompt in _statements(clause)]


def _named(sentence: str) -> list[str]:
    """Return a prompt for each finding noun that is asserted, with the adjectives before it."""
    prompts = []
    for fragment in fragments(sentence):
        words: list[str] = []
        for word in fragment:
            plain = word.removeprefix(IS)
            if plain in NAMED_FINDINGS:
                prompts.append(" ".join(["there is", *words, plain]))
            words = [*words, plain] if plain in ADJECTIVES else []
    return list(dict.fromkeys(prompts))


def _hedged(clause: str, hedge: re.Match[str]) -> Iterable[str]:
    """Return the plain statement before the hedge, then what is hedged, marked as such."""
    mark = "possible" if hedge["possible"] else "probable"
    before, after = clause[: hedge.start()], clause[hedge.end() :]
    if re.fullmatch(r".*\b(?:is|are|appears?)", before) or (not after and before):
        plain = _statements(f"{before} {after}".strip())
        return [_mark(prompt, mark) for prompt in plain]
    further = patterns.HEDGE.search(after)
    tail = list(_hedged(after, further)) if further else list(_positives(after))
    head = list(_statements(before)) if before.strip() else []
    return [*head, *(_mark(prompt, mark) for prompt in tail)]


def _mark(prompt: str, mark: str) -> str:
    """Put the hedge word before the phrase unless there is one, or the prompt is a negation."""
    phrase = prompt.removeprefix("there is ")
    if phrase.split()[0] in ("no", "possible", "probable"):
        return prompt
    return f"there is {mark} {phrase}"


def _predicated(subject: str, predicate: str) -> Iterable[str]:
    """Return prompts of "<subject> is <predicate>": the adjective before the noun where it fits."""
    if negation := patterns.NEGATION_START.match(predicate):
        return _negatives(predicate[negation.end() :])
    if seen := _SEEN.match(predicate):
        return _positives(f"{subject} {predicate[seen.end() :]}")
    first, *others = re.split(r",\s*|\s+and (?=(?:the )?\w+ \w* ?(?:is|are)\b)", predicate)
    if others and not patterns.COPULA.search(others[0]):
        first, others = predicate.replace(",", " and "), []
    subjects = [item for item in _subjects(subject) if has_meaning(item)]
    first = first.removesuffix(" bilaterally")
    if sized := _SIZE_TAIL.match(first):
        first = sized["adjective"]
        if "size" in sized["tail"].split() and not patterns.PREPOSITION.search(subject):
            subjects = [item if last_noun(item) == "size" else f"{item} size" for item in subjects]
    in_front = len(first.split()) <= 4 and not patterns.PREPOSITION.search(f"{first} {subject}")
    order = "{0} {1}" if in_front else "{1} {0}"
    prompts = [
        prompt
        for item in subjects
        if (prompt := to_prompt(order.format(first, item), needs=first if in_front else item))
    ]
    return [*prompts, *(found for other in others for found in _statements(other))]


def _subjects(subject: str) -> list[str]:
    """Split "heart and mediastinum" into its nouns; keep what does not stand alone together.

    A blank ends a lone subject ("costophrenic XXXX") or takes its place in a list with it.
    """
    parts = [part for part in _LIST.split(subject) if part]
    if len(parts) == 1:
        return [subject.removesuffix(f" {BLANK}")]
    hidden = [part for part in parts if part.split()[-1] == BLANK]
    named = [part for part in parts if part not in hidden]
    if named and all(last_noun(part) in ANATOMY_NOUNS for part in named):
        return named
    return [subject] if not hidden else named


def _positives(phrase: str) -> list[str]:
    """Return a prompt for each finding of a list, or one for a phrase that is not a list."""
    parts = [""]
    for piece in _FINDING_LIST.split(phrase):
        if _FINDING_LIST.fullmatch(f" {piece} ") and piece.strip() and not stands_alone(piece):
            parts.append(piece)
        elif len(parts) > 1 and not (stands_alone(parts[-2]) and stands_alone(piece)):
            parts[-2:] = [f"{parts[-2]}{parts[-1]}{piece}"]
        else:
            parts[-1] = piece
    return [prompt for part in parts if (prompt := to_prompt(part))]


def _negatives(phrase: str) -> list[str]:
    """Return "there is no ..." for each part; an adjective alone borrows the last part's noun."""
    cut = patterns.PURPOSE.sub("", f"{phrase} ").strip()
    parts = [part for part in _LIST.split(cut) if part]
    prompts: list[str] = []
    for index, part in enumerate(parts):
        if patterns.COPULA.search(part) or patterns.HEDGE.search(part):
            prompts.extend(_statements(part))
            continue
        words = part.split()
        if words[-1] == BLANK:
            continue
        if words[-1] in ADJECTIVES and index < len(parts) - 1:
            part = f"{part} {parts[-1].split()[-1]}"
        bare = patterns.NEGATION_START.sub("", part)
        if index and not has_finding(bare) and is_anatomy(bare):
            continue
        if prompt := to_prompt(bare, negated=True):
            prompts.append(prompt)
    return prompts
