"""Is a sentence normal or abnormal? A linear model on marked word n-grams, with weak labels.

A sentence is as abnormal as its most abnormal fragment. Nobody labels fragments: word lists and the
normal flag of whole reports do (``offclip.text.weak_labels``).
"""

import json
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix, vstack
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from offclip.files import write_json
from offclip.text.assertions import fragments
from offclip.text.weak_labels import (
    dictionary,
    first_labels,
    only_a_place,
    relabel,
    rule_label,
    usable,
)

_FORMAT = "offclip-ngram-classifier-2"


@runtime_checkable
class SentenceClassifier(Protocol):
    """Gives the probability that a sentence or prompt states something abnormal."""

    def abnormal_probability(self, sentences: Sequence[str]) -> Float[np.ndarray, " sentences"]:
        """Return one probability in [0, 1] for each sentence."""
        ...


@dataclass(frozen=True)
class FitOptions:
    """How the model is fitted; chosen on the development part of the gold sentences.

    Attributes:
        rounds: self-labelling rounds after the first fit, at least 0.
        inverse_penalty: scikit-learn's C, above 0.
        relabel_below: probability under which a fragment of an abnormal report becomes normal.
        minimum_count: a word or pair seen in fewer fragments counts as rare.
        dictionary_weight: weight of each word of the word lists, where a fragment has 1.
    """

    rounds: int = 1
    inverse_penalty: float = 2.0
    relabel_below: float = 0.5
    minimum_count: int = 2
    dictionary_weight: float = 10.0


@dataclass(frozen=True)
class NgramClassifier:
    """Logistic regression on the presence of words and word pairs in a fragment.

    The same word asserted and denied gives two features. Words not seen in the fit count as one
    "rare" feature. For a fragment with features F, z = b + sum_{f in F} w_f; the probability of a
    sentence is 1 / (1 + exp(-max z)) over its fragments. Fragments that only name a part of the
    body count nowhere; without any other the probability is 0.
    """

    weights: dict[str, float]
    bias: float

    @classmethod
    def fit(
        cls,
        reports: Sequence[Sequence[str]],
        is_normal: Sequence[bool],
        options: FitOptions | None = None,
    ) -> "NgramClassifier":
        """Fit on sentences or prompts of training reports and the reports' normal flags.

        Raises:
            ValueError: lengths differ, or the first labels are all normal or all abnormal.
        """
        if len(reports) != len(is_normal):
            raise ValueError(
                f"is_normal: expected {len(reports)} flags, one a report, got {len(is_normal)}"
            )
        options = options or FitOptions()
        found = [[part for text in report for part in fragments(text)] for report in reports]
        report = np.repeat(np.arange(len(found)), [len(parts) for parts in found])
        normal_report = np.asarray(is_normal, dtype=bool)[report]
        units = [part for parts in found for part in parts]
        rules = np.array([rule_label(part) for part in units], dtype=np.int64)
        words, word_abnormal = dictionary()
        features = [_features(part) for part in units]
        columns = _columns(features, words, options.minimum_count)
        matrix, lexicon = _matrix(features, columns), _matrix(words, columns)
        sure = usable(rules, normal_report)
        both = vstack([matrix[sure], lexicon]).tocsr()
        weight = np.r_[np.ones(sure.sum()), np.full(len(words), options.dictionary_weight)]
        labels = first_labels(rules, normal_report)
        _check_kinds(labels[sure])
        for remaining in range(options.rounds, -1, -1):
            model = LogisticRegression(C=options.inverse_penalty, max_iter=2000)
            model.fit(both, np.r_[labels[sure], word_abnormal], sample_weight=weight)
            if remaining:
                score = model.predict_proba(matrix)[:, 1]
                labels = relabel(score, rules, report, normal_report, options.relabel_below)
        weights = dict(zip(columns, model.coef_[0].tolist(), strict=True))
        return cls(weights, float(model.intercept_[0]))

    def abnormal_probability(self, sentences: Sequence[str]) -> Float[np.ndarray, " sentences"]:
        """Return the probability that each sentence states something abnormal, in [0, 1]."""
        scores = [
            max(
                (self._log_odds(part) for part in fragments(text) if not only_a_place(part)),
                default=-np.inf,
            )
            for text in sentences
        ]
        return np.asarray(expit(np.array(scores, dtype=np.float64)))

    def _log_odds(self, fragment: Sequence[str]) -> float:
        known = _known(_features(fragment), self.weights)
        return self.bias + sum(self.weights[name] for name in known)

    def save(self, path: str | Path) -> Path:
        """Write the model as JSON, atomically; return the path."""
        return write_json(path, {"format": _FORMAT, "bias": self.bias, "weights": self.weights})

    @classmethod
    def load(cls, path: str | Path) -> "NgramClassifier":
        """Read a model written by ``save``.

        Raises:
            ValueError: the file is not such a model; the message names it.
        """
        try:
            value: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            if value["format"] != _FORMAT:
                raise ValueError(f"format {value['format']!r}")
            weights = {str(name): float(weight) for name, weight in value["weights"].items()}
            model = cls(weights, float(value["bias"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{path}: expected a sentence classifier ({_FORMAT}), got something else "
                f"({error}); delete the file and curate again"
            ) from error
        if not np.isfinite([model.bias, *weights.values()]).all():
            raise ValueError(f"{path}: expected finite weights, got NaN or infinity; curate again")
        return model


_RARE = ("is:<rare>", "no:<rare>")


def _features(fragment: Sequence[str]) -> list[str]:
    """Return the marked words and the pairs of neighbours with the same mark."""
    pairs = [
        f"{first} {second[3:]}" for first, second in pairwise(fragment) if first[:3] == second[:3]
    ]
    return [*fragment, *pairs]


def _known(features: Sequence[str], columns: Container[str]) -> set[str]:
    """Return the features that have a column; a word without one is rare."""
    return {
        name if name in columns else f"{name[:3]}<rare>"
        for name in features
        if name in columns or " " not in name
    }


def _columns(
    features: Sequence[Sequence[str]], words: Sequence[Sequence[str]], minimum: int
) -> dict[str, int]:
    count = Counter(name for found in features for name in set(found))
    names = {name for name, n in count.items() if n >= minimum}
    names.update(_RARE, *words)
    return {name: i for i, name in enumerate(sorted(names))}


def _matrix(features: Sequence[Sequence[str]], columns: dict[str, int]) -> csr_matrix:
    """Return presence features, (fragments, columns)."""
    known = [sorted(columns[name] for name in _known(found, columns)) for found in features]
    ends = np.cumsum([0, *map(len, known)])
    places = np.array([place for found in known for place in found], dtype=np.int64)
    return csr_matrix((np.ones(len(places)), places, ends), shape=(len(features), len(columns)))


def _check_kinds(abnormal: Bool[np.ndarray, " fragments"]) -> None:
    if abnormal.all() or not abnormal.any():
        raise ValueError(
            "reports: expected normal and abnormal statements to learn from, got only "
            f"{'abnormal' if abnormal.all() and len(abnormal) else 'normal'} ones; "
            "add reports of the other kind"
        )


def load_classifier(path: str | Path) -> SentenceClassifier:
    """Read a saved classifier: the JSON file of a linear model, or the folder of a transformer.

    Raises:
        ValueError: nothing is there, or it is neither.
    """
    path = Path(path)
    if path.is_dir():
        from offclip.text.transformer import TransformerClassifier

        return TransformerClassifier.load(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected a classifier file or folder, got nothing there")
    return NgramClassifier.load(path)
