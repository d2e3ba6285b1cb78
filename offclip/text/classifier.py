"""Is a sentence normal or abnormal? A linear model on word n-grams, trained with weak labels.

The weak labels come from whole reports: every prompt of a normal report is normal; an abnormal
report has at least one abnormal prompt, but nearly half of its prompts are normal statements. The
fit therefore labels itself in rounds (multiple-instance learning). Imports only jaxtyping, numpy,
scikit-learn and ``offclip.files``.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from offclip.files import write_json

_FORMAT = "offclip-ngram-classifier-1"


@runtime_checkable
class SentenceClassifier(Protocol):
    """Gives the probability that a sentence or prompt states something abnormal."""

    def abnormal_probability(self, sentences: Sequence[str]) -> Float[np.ndarray, " sentences"]:
        """Return one probability in [0, 1] for each sentence."""
        ...


@dataclass(frozen=True)
class FitOptions:
    """How the weak labels are refined; chosen on the validation split.

    Attributes:
        rounds: self-labelling rounds after the first fit, at least 0.
        inverse_penalty: scikit-learn's C, above 0.
        abnormal_weight: weight of a sentence labelled abnormal; above 1 favours recall.
        relabel_below: probability under which a sentence of an abnormal report becomes normal.
        lift: a prompt this many times more common in abnormal reports than in normal ones counts
            as abnormal at first, although normal reports have it too; above 1.
        minimum_count: a word or pair seen in fewer sentences counts as rare.
    """

    rounds: int = 3
    inverse_penalty: float = 1.0
    abnormal_weight: float = 1.0
    relabel_below: float = 0.5
    minimum_count: int = 2
    lift: float = 5.0


@dataclass(frozen=True)
class NgramClassifier:
    """Logistic regression on the presence of words and word pairs.

    Words of a sentence that begins with "no" or "there is no" are features of their own, so that
    "no effusion" and "effusion" share nothing but the bias. Words not seen in the fit count as one
    "rare" feature. The feature vector has Euclidean length 1. P = 1 / (1 + exp(-(w.x + b))).
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
        """Fit on the prompts of the training reports and their normal flags.

        First labels: a prompt of a normal report is normal; a prompt of an abnormal report is
        abnormal unless it is a plain negation or is about as common in normal reports. A prompt
        much more common in abnormal reports, but found in a normal one (people leave degenerative
        change out of the annotation, say), is not learnt from there. In each further round, the
        prompts of an abnormal report take the label of the last fit, its most abnormal prompt
        stays abnormal, and a prompt of a normal report stays normal.

        Raises:
            ValueError: lengths differ, or no normal or no abnormal prompt is left to learn from.
        """
        if len(reports) != len(is_normal):
            raise ValueError(
                f"is_normal: expected {len(reports)} flags, one a report, got {len(is_normal)}"
            )
        options = options or FitOptions()
        sentences = [sentence for report in reports for sentence in report]
        report_index = np.repeat(np.arange(len(reports)), [len(report) for report in reports])
        normal_report = np.asarray(is_normal, dtype=bool)[report_index]
        features = [_features(sentence) for sentence in sentences]
        count = Counter(feature for found in features for feature in set(found))
        names = sorted(name for name, n in count.items() if n >= options.minimum_count)
        columns = {name: i for i, name in enumerate(dict.fromkeys([*names, *_RARE]))}
        matrix = _matrix(features, columns)
        lift = _lift(sentences, normal_report)
        labels = _first_labels(sentences, normal_report, lift >= options.lift)
        sure = ~normal_report | (lift < options.lift)
        for remaining in range(options.rounds, -1, -1):
            model = _logistic(matrix[sure], labels[sure], options)
            if remaining:
                score = model.predict_proba(matrix)[:, 1]
                labels = _relabel(score, report_index, normal_report, options.relabel_below)
        found = dict(zip(columns, model.coef_[0].tolist(), strict=True))
        return cls(found, float(model.intercept_[0]))

    def abnormal_probability(self, sentences: Sequence[str]) -> Float[np.ndarray, " sentences"]:
        """Return the probability that each sentence states something abnormal, in [0, 1]."""
        columns = {name: i for i, name in enumerate(self.weights)}
        matrix = _matrix([_features(sentence) for sentence in sentences], columns)
        scores = matrix @ np.fromiter(self.weights.values(), float, len(columns)) + self.bias
        return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float64)

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


def _features(sentence: str) -> list[str]:
    """Return word and word-pair features, prefixed "no:" in a negated sentence, else "is:"."""
    words = "".join(c if c.isalnum() else " " for c in sentence.lower()).split()
    if words[:2] in (["there", "is"], ["there", "are"]):
        words = words[2:]
    prefix = "is:"
    if words[:1] == ["no"]:
        prefix, words = "no:", words[1:]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return [prefix + feature for feature in [*words, *pairs]]


def _matrix(features: Sequence[Sequence[str]], columns: dict[str, int]) -> csr_matrix:
    """Return presence features, (sentences, columns), each row scaled to length 1."""
    rows: list[int] = []
    places: list[int] = []
    values: list[float] = []
    for row, found in enumerate(features):
        known = {columns[name] for name in found if name in columns}
        rare = [name for name in found if name not in columns and " " not in name]
        known.update(columns[f"{name[:3]}<rare>"] for name in rare)
        rows.extend([row] * len(known))
        places.extend(sorted(known))
        values.extend([1 / np.sqrt(max(len(known), 1))] * len(known))
    return csr_matrix((values, (rows, places)), shape=(len(features), len(columns)))


def _first_labels(
    sentences: Sequence[str],
    normal_report: Bool[np.ndarray, " sentences"],
    telling: Bool[np.ndarray, " sentences"],
) -> Bool[np.ndarray, " sentences"]:
    """Return the first weak labels, True = abnormal."""
    negated = [s.startswith(("there is no ", "no ")) for s in sentences]
    return ~normal_report & telling & ~np.asarray(negated, dtype=bool)


def _lift(
    sentences: Sequence[str], normal_report: Bool[np.ndarray, " sentences"]
) -> Float[np.ndarray, " sentences"]:
    """Return how many times more often a sentence stands in abnormal reports than in normal ones.

    The shares are of all sentences of each kind; infinite where no normal report has the sentence.
    """
    normal = Counter(s for s, flag in zip(sentences, normal_report, strict=True) if flag)
    both = Counter(sentences)
    n_normal = max(int(normal_report.sum()), 1)
    n_abnormal = max(len(sentences) - int(normal_report.sum()), 1)
    return np.array(
        [
            (both[s] - normal[s]) / n_abnormal / (normal[s] / n_normal) if normal[s] else np.inf
            for s in sentences
        ],
        dtype=np.float64,
    )


def _relabel(
    score: Float[np.ndarray, " sentences"],
    report_index: np.ndarray,
    normal_report: Bool[np.ndarray, " sentences"],
    below: float,
) -> Bool[np.ndarray, " sentences"]:
    """Return new labels: by score in abnormal reports, whose highest score stays abnormal."""
    order = np.lexsort((score, report_index))
    last = np.append(report_index[order][1:] != report_index[order][:-1], True)
    labels = score >= below
    labels[order[last]] = True
    return labels & ~normal_report


def _logistic(
    matrix: csr_matrix, labels: Bool[np.ndarray, " sentences"], options: FitOptions
) -> LogisticRegression:
    if labels.all() or not labels.any():
        raise ValueError(
            "reports: expected normal and abnormal sentences to learn from, got only "
            f"{'abnormal' if labels.all() and len(labels) else 'normal'} ones; "
            "add reports of the other kind"
        )
    weight = {False: 1.0, True: options.abnormal_weight}
    model = LogisticRegression(C=options.inverse_penalty, class_weight=weight, max_iter=1000)
    return model.fit(matrix, labels)
