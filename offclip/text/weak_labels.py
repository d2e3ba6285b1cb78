"""What is known of a sentence fragment without a person's label: word lists, then its report.

Three sources, in this order. The word lists below label a fragment that they understand. A report
without findings makes its other fragments normal. An abnormal report makes its other fragments
abnormal at first; ``relabel`` lets a fitted model correct that.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from offclip.text.assertions import IS, NO, fragments
from offclip.text.vocabulary import (
    ASIDE_WORDS,
    FILLER_WORDS,
    FINDING_WORDS,
    NORMAL_WORDS,
    PLACE_WORDS,
)

UNKNOWN, NORMAL, ABNORMAL = -1, 0, 1


def rule_label(fragment: Sequence[str]) -> int:
    """Label a fragment by its words: ABNORMAL, NORMAL or UNKNOWN.

    An asserted finding word makes it abnormal. Without one, it is normal if something is denied,
    if a normal word or a word about the examination is asserted, or if it only names a place.

    Args:
        fragment: marked words, as from ``fragments``.
    """
    asserted = {word.removeprefix(IS) for word in fragment if word.startswith(IS)}
    if asserted & FINDING_WORDS:
        return ABNORMAL
    if any(word.startswith(NO) for word in fragment) or only_a_place(fragment):
        return NORMAL
    return NORMAL if asserted & (NORMAL_WORDS | ASIDE_WORDS) else UNKNOWN


def only_a_place(fragment: Sequence[str]) -> bool:
    """Whether a fragment only names parts of the body, as in a heading or in a list."""
    return {word.removeprefix(IS) for word in fragment} <= PLACE_WORDS | FILLER_WORDS


def dictionary() -> tuple[list[list[str]], Bool[np.ndarray, " words"]]:
    """Return the word lists as fragments of one word, and whether each is abnormal.

    A finding word is abnormal when asserted and normal when denied; the others are normal. They
    teach a model the words that the training reports happen to lack.
    """
    findings, others = sorted(FINDING_WORDS), sorted(NORMAL_WORDS | ASIDE_WORDS)
    asserted = [[IS + word] for word in (*findings, *others)]
    denied = [[NO + word] for word in findings]
    abnormal = np.arange(len(asserted) + len(denied)) < len(findings)
    return asserted + denied, abnormal


def first_labels(
    rules: Int[np.ndarray, " fragments"], normal_report: Bool[np.ndarray, " fragments"]
) -> Bool[np.ndarray, " fragments"]:
    """Return True for abnormal: by the rules, and where they are silent, by the report."""
    return np.where(rules == UNKNOWN, ~normal_report, rules == ABNORMAL)


def relabel(
    score: Float[np.ndarray, " fragments"],
    rules: Int[np.ndarray, " fragments"],
    report: Int[np.ndarray, " fragments"],
    normal_report: Bool[np.ndarray, " fragments"],
    below: float,
) -> Bool[np.ndarray, " fragments"]:
    """Return the labels of the next round: a model's score decides where the rules are silent.

    Multiple-instance reasoning: an abnormal report has at least one abnormal fragment, so its
    highest one stays abnormal; a normal report has none. Rules go before both.
    """
    order = np.lexsort((score, report))
    last = np.append(report[order][1:] != report[order][:-1], True)[: len(order)]
    labels = score >= below
    labels[order[last]] = True
    labels &= ~normal_report
    return np.where(rules == UNKNOWN, labels, rules == ABNORMAL)


def usable(
    rules: Int[np.ndarray, " fragments"], normal_report: Bool[np.ndarray, " fragments"]
) -> Bool[np.ndarray, " fragments"]:
    """Return False where the rules find something in a normal report: the two contradict."""
    return ~((rules == ABNORMAL) & normal_report)


def sentence_labels(
    reports: Sequence[Sequence[str]], is_normal: Sequence[bool]
) -> tuple[list[str], Bool[np.ndarray, " sentences"]]:
    """Return the usable sentences of all reports, and whether each is abnormal at first sight.

    A sentence is abnormal if one of its fragments is, by ``first_labels``. Left out: sentences
    without a word, and those of normal reports in which the rules find something.
    """
    texts, labels = [], []
    for report, normal in zip(reports, is_normal, strict=True):
        for text in report:
            rules = np.array([rule_label(part) for part in fragments(text)], dtype=np.int64)
            normal_report = np.full(len(rules), normal)
            if len(rules) and usable(rules, normal_report).all():
                texts.append(text)
                labels.append(bool(first_labels(rules, normal_report).any()))
    return texts, np.array(labels, dtype=bool)
