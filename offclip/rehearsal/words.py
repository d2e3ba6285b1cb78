"""Invented reports of a rehearsal, in our own words."""

from collections.abc import Mapping

import numpy as np

from offclip.rehearsal.cases import Case

_CLEAR = (
    "The lungs are clear.",
    "The heart is of normal size.",
    "No pleural effusion is seen.",
    "No pneumothorax is seen.",
    "The mediastinum is unremarkable.",
    "No bony abnormality.",
)
_SAYS_NOT = {"pleural effusion": 2, "pneumothorax": 3, "cardiomegaly": 1}
_SAYS = ("There is {}.", "{} is seen.", "Findings of {}.", "New {} since the last film.")
_NORMAL_IMPRESSIONS = ("No acute disease.", "Normal chest.", "No acute finding.")


def findings_of(case: Case, prompts: Mapping[str, str]) -> tuple[str, str]:
    """Findings and impression of a case, which say its classes and a few normal things."""
    generator = np.random.default_rng((*case.seed, 2))
    phrases = [prompts[name] for name in case.classes]
    said = [_capital(_SAYS[generator.integers(len(_SAYS))].format(phrase)) for phrase in phrases]
    contradicted = {_SAYS_NOT[phrase] for phrase in phrases if phrase in _SAYS_NOT}
    clear = [
        sentence
        for number, sentence in enumerate(_CLEAR)
        if number not in contradicted and not (phrases and number == 0)
    ]
    kept = sorted(generator.choice(len(clear), size=3, replace=False))
    sentences = said + [clear[number] for number in kept]
    if phrases:
        return " ".join(sentences), _capital(" and ".join(phrases)) + "."
    number = generator.integers(len(_NORMAL_IMPRESSIONS))
    return " ".join(sentences), _NORMAL_IMPRESSIONS[number]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
