r"""The published zero-shot protocol, errors and all: to compare with, not to use.

What OFF-CLIP's ``validation.py`` computes; for ChestX-ray14 and ChestX-Det10, CARZero's mean AUC:

- one prompt a class, normality being a class like the others and averaged with them;
- per class the accuracy of ``score > t``, where :math:`t = \arg\max_t (TPR(t) - FPR(t))` is chosen
  on the test labels themselves. ``roc_curve`` means ``score >= t``, so the images that lie at the
  threshold, which made it the best one, are called negative;
- images pooled as if each were a patient of its own; no interval.

:mod:`offclip.evaluation.protocol` is the corrected one. Knows tables and arrays only; the classes
of each set are in ``offclip.study.benchmark.sets``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.metrics import auc as area
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from offclip.evaluation.metrics import auc
from offclip.evaluation.scoring import positive_prompt

AUC, ACCURACY = "published_auc", "published_accuracy"
POOLED = ("published_auc_micro", "published_auprc_macro", "published_auprc_micro")
MACRO, ALL = "macro", "all classes"


@dataclass(frozen=True)
class PublishedSet:
    """How published code evaluates one set.

    Attributes:
        phrases: class → the words after "there is"; empty: every label that occurs, by its name.
        normal: the class that says normal, or "".
        prefix: stands before the names of the classes among the labels.
        drops_unlabelled: images that have none of the classes are dropped.
        metrics: what is reported, of :data:`AUC`, :data:`ACCURACY` and :data:`POOLED`.
    """

    phrases: Mapping[str, str]
    normal: str = ""
    prefix: str = ""
    drops_unlabelled: bool = False
    metrics: tuple[str, ...] = (AUC, ACCURACY)

    def prompts(self, cases: pd.DataFrame) -> dict[str, str]:
        """Class → its one prompt."""
        phrases = self.phrases or {name: name.lower() for name in _occurring(cases)}
        if self.normal and not self.phrases:
            phrases = {**phrases, self.normal: "no finding"}
        return {name: positive_prompt(phrase) for name, phrase in phrases.items()}

    def labels(self, cases: pd.DataFrame) -> pd.DataFrame:
        """True or False by image and class, of the images that the protocol keeps.

        Args:
            cases: rows of a reader, one an image.
        """
        names = list(self.prompts(cases))
        has = [[own.get(self.prefix + name) == 1 for name in names] for own in cases["labels"]]
        table = pd.DataFrame(
            np.array(has, dtype=bool).reshape(len(cases), len(names)),
            index=pd.Index(cases["image"]),
            columns=names,
        )
        return table[table.any(axis=1)] if self.drops_unlabelled else table


@dataclass(frozen=True)
class PublishedNumbers:
    """Numbers by metric and detail, and how many positives the classes have that have none.

    ``left_out``: classes that all or none of the images have. Their AUC raised an error in the
    published code's scikit-learn, and is NaN in a later one; here they are left out and counted.
    """

    values: dict[tuple[str, str], float]
    left_out: dict[str, int]


def published_numbers(
    labels: pd.DataFrame, scores: pd.DataFrame, metrics: Iterable[str] = (AUC, ACCURACY)
) -> PublishedNumbers:
    """The published numbers; labels and scores are joined by image and by class.

    ``published_auc`` and ``published_accuracy``: each class, and their plain mean (``macro``).
    ``published_auc_micro`` and ``published_auprc_micro``: all cells as one ranking.
    ``published_auprc_macro``: mean area under the precision-recall curve by trapezoids, as
    published; average precision would be the sound one.

    Args:
        labels: of :meth:`PublishedSet.labels`.
        scores: by image and class; others than those of ``labels`` may be there.
        metrics: what to compute.

    Raises:
        KeyError: an image or a class has no scores.
    """
    scores = scores.loc[labels.index, list(labels.columns)]
    positives = labels.sum()
    known = positives[(positives > 0) & (positives < len(labels))].index
    left_out = {name: int(n) for name, n in positives.items() if name not in known}
    truth, given = labels[known].to_numpy(), scores[known].to_numpy(dtype=np.float64)
    values: dict[tuple[str, str], float] = {}
    if not len(known):
        return PublishedNumbers(values, left_out)
    for metric, function in ((AUC, auc), (ACCURACY, accuracy_at_test_threshold)):
        if metric in metrics:
            each = [function(truth[:, i], given[:, i]) for i in range(len(known))]
            values |= {(metric, name): v for name, v in zip(known, each, strict=True)}
            values[metric, MACRO] = float(np.mean(each))
    micro, macro_prc, micro_prc = POOLED
    if micro in metrics:
        values[micro, ALL] = float(roc_auc_score(truth.ravel(), given.ravel()))
    if macro_prc in metrics:
        areas = [precision_recall_area(truth[:, i], given[:, i]) for i in range(len(known))]
        values[macro_prc, ALL] = float(np.mean(areas))
    if micro_prc in metrics:
        values[micro_prc, ALL] = precision_recall_area(truth.ravel(), given.ravel())
    return PublishedNumbers(values, left_out)


def accuracy_at_test_threshold(
    labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]
) -> float:
    """Share of right answers of ``score > t``, ``t`` by Youden's index on these same labels.

    Where no threshold beats chance the first one of the curve is taken, at which nothing is called
    positive: a constant score is right for all negatives.
    """
    false_positive, true_positive, thresholds = roc_curve(labels, scores)
    threshold = thresholds[np.argmax(true_positive - false_positive)]
    return float(np.mean((scores > threshold) == labels))


def precision_recall_area(
    labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]
) -> float:
    """Area under the precision-recall curve by trapezoids, which flatters it between points."""
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(area(recall, precision))


def _occurring(cases: pd.DataFrame) -> list[str]:
    return sorted({name for own in cases["labels"] for name, value in own.items() if value == 1})
