"""Word lists of the prompter and of the sentence classifier.

The lists are files in ``offclip/text/data``, each with its meaning and source in its first lines.
"""

from importlib.resources import files

_COMMENT = "#"


def _lines(name: str) -> list[list[str]]:
    """Return the words of each line of a list, without comments."""
    text = files("offclip.text").joinpath("data", f"{name}.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith(_COMMENT)]


def _words(name: str) -> frozenset[str]:
    return frozenset(word for line in _lines(name) for word in line)


_SINGULAR = {line[0]: line[1] for line in _lines("plurals") if line}

PLACE_ADJECTIVES = _words("place_adjectives")
ADJECTIVES = PLACE_ADJECTIVES | _words("finding_adjectives")
ANATOMY_NOUNS = _words("anatomy_nouns")
NAMED_FINDINGS = _words("finding_nouns")
FINDING_NOUNS = NAMED_FINDINGS | _words("vague_nouns")
HOLLOW_WORDS = _words("hollow_words")

FINDING_WORDS = NAMED_FINDINGS | _words("finding_words")
NORMAL_WORDS = _words("normal_words")
ASIDE_WORDS = _words("aside_words")
PLACE_WORDS = ANATOMY_NOUNS | PLACE_ADJECTIVES
FILLER_WORDS = _words("filler_words")


def singular(word: str) -> str:
    """Return the singular of a known noun, else the word itself ("effusions" -> "effusion")."""
    return _SINGULAR.get(word, word)
