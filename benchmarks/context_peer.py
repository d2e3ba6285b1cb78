"""medspaCy's ConText on given sentences, in an environment of its own.

    python -m venv context && context/bin/pip install medspacy
    echo '{"words": ["mass"], "sentences": ["No mass."]}' | context/bin/python context_peer.py

medspaCy needs an older NumPy than this project, so ``benchmarks.sentence_filter`` starts this file
with the interpreter that ``--context-python`` names. Reads JSON from standard input: finding words
and sentences. Writes a list: is a finding word there that is not denied? Plurals in "s" count as
the word. Imports nothing of the project.
"""

import json
import sys

import medspacy
from medspacy.ner import TargetRule


def main() -> None:
    """Read, judge, write."""
    given = json.load(sys.stdin)
    parts = ["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"]
    nlp = medspacy.load(medspacy_enable=parts)
    nlp.get_pipe("medspacy_target_matcher").add(
        [
            TargetRule(word, "FINDING", pattern=[{"LOWER": {"IN": [word, f"{word}s"]}}])
            for word in given["words"]
        ]
    )
    found = [any(not e._.is_negated for e in nlp(text).ents) for text in given["sentences"]]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
