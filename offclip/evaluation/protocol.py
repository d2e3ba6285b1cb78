"""The zero-shot protocol: which scores answer which question, on which cases.

Normal and abnormal are never averaged together, and every normality prompt is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from offclip.evaluation.bootstrap import Answers, bootstrap_auc, mean_of
from offclip.evaluation.metrics import auc
from offclip.evaluation.operating import operating_points
from offclip.evaluation.scoring import class_scores, negative_prompt, positive_prompt

CELLS = 4_000_000  # weights, resamples times cases, that are copied at once


@dataclass(frozen=True)
class Protocol:
    """Prompts and classes that a model is measured by.

    Attributes:
        phrases: class name → the words after "there is".
        normal_prompts: sentences that state normality.
        min_positives: a class with fewer positive cases has no AUC of its own and leaves the mean.
    """

    phrases: Mapping[str, str]
    normal_prompts: Sequence[str]
    min_positives: int = 10

    @property
    def prompts(self) -> list[str]:
        """The prompts of normality and of each class, positive and negative, every one once."""
        positive = [positive_prompt(phrase) for phrase in self.phrases.values()]
        negative = [negative_prompt(phrase) for phrase in self.phrases.values()]
        return list(dict.fromkeys([*self.normal_prompts, *positive, *negative]))


@dataclass(frozen=True)
class Question:
    """One AUC: a metric's name and detail, who is positive, the scores, and which cases count."""

    metric: str
    detail: str
    positive: np.ndarray
    scores: np.ndarray
    among: np.ndarray


def questions(table: pd.DataFrame, cases: pd.DataFrame, protocol: Protocol) -> list[Question]:
    """Every AUC of the protocol on these cases.

    ``normal_auc``: each normality prompt, normal cases positive. ``normal_auc_free``: minus the
    mean of the positive class prompts. ``abnormal_auc_pos`` and ``abnormal_auc_pnc``: each class
    against all cases without it, null labels left out. Two parts of POS:
    ``abnormal_auc_pos_against_normal`` leaves out the other abnormal cases (is something wrong?),
    ``abnormal_auc_pos_among_abnormal`` leaves out the normal ones (what is wrong?), and a class
    that all of them have has none.

    Args:
        table: scores by prompt, indexed by study id (a superset of the cases).
        cases: records of the split: ``study_id``, ``is_normal`` and ``labels``.
        protocol: its prompts and classes.

    Raises:
        KeyError: a case has no scores.
    """
    table = table.loc[cases["study_id"]]
    normal = cases["is_normal"].to_numpy(dtype=bool)
    everyone = np.ones(len(cases), dtype=bool)
    posed = [
        Question("normal_auc", prompt, normal, table[prompt].to_numpy(), everyone)
        for prompt in protocol.normal_prompts
    ]
    positive = class_scores(table, protocol.phrases, rule="pos")
    if protocol.phrases:
        free = -positive.mean(axis=1).to_numpy()
        name = "minus the mean of the finding scores"
        posed.append(Question("normal_auc_free", name, normal, free, everyone))
    for rule in ("pos", "pnc"):
        scores = class_scores(table, protocol.phrases, rule=rule)
        for name in measured_classes(cases, protocol):
            has, score = has_label(cases, name), scores[name].to_numpy()
            known = is_known(cases, name)
            posed.append(Question(f"abnormal_auc_{rule}", name, has, score, known))
            parts = {"against_normal": known & (has | normal), "among_abnormal": known & ~normal}
            posed += [
                Question(f"abnormal_auc_{rule}_{part}", name, has, score, among)
                for part, among in parts.items()
                if rule == "pos" and not has[among].all()
            ]
    return posed


def has_label(cases: pd.DataFrame, name: str) -> np.ndarray:
    """Which cases are positive for the class."""
    return np.array([dict(labels).get(name) == 1 for labels in cases["labels"]], dtype=bool)


def is_known(cases: pd.DataFrame, name: str) -> np.ndarray:
    """Which cases have an answer for the class: all but those whose label is null."""
    return np.array([dict(labels).get(name, 0) is not None for labels in cases["labels"]])


def clusters_of(cases: pd.DataFrame) -> np.ndarray:
    """Whom resampling and tests keep together: the patient, or the study if none is known.

    Args:
        cases: ``study_id``, and ``patient_id`` where there is one; a missing or empty one is
            unknown.
    """
    studies = "study " + cases["study_id"].astype(str)
    patients = cases.get("patient_id", pd.Series("", index=cases.index)).fillna("").astype(str)
    return ("patient " + patients).where(patients != "", studies).to_numpy()


def measured_classes(cases: pd.DataFrame, protocol: Protocol) -> list[str]:
    """Classes with at least ``min_positives`` positive cases."""
    return [n for n in protocol.phrases if has_label(cases, n).sum() >= protocol.min_positives]


def measure(posed: Sequence[Question], weights: Float[np.ndarray, "resample case"]) -> Answers:
    """AUC and its resamples for each question, and the mean over the classes of each rule.

    A resample that lacks positives or negatives of one class has no value for it and no mean.
    """
    answers = {
        (q.metric, q.detail): (
            auc(q.positive[q.among], q.scores[q.among]), _resampled(q, weights)
        )
        for q in posed
    }  # fmt: skip
    several = {key: answer for key, answer in answers.items() if key[0] != "normal_auc_free"}
    return answers | _means(several)


def _resampled(question: Question, weights: np.ndarray) -> np.ndarray:
    """Resamples, some at a time: copies of all weights of a large set would not fit."""
    positive, scores = question.positive[question.among], question.scores[question.among]
    size = max(1, CELLS // len(question.among))
    blocks = (weights[k : k + size][:, question.among] for k in range(0, len(weights), size))
    return np.concatenate([bootstrap_auc(positive, scores, block) for block in blocks])


def validation_metrics(
    table: pd.DataFrame, cases: pd.DataFrame, protocol: Protocol
) -> dict[str, float]:
    """Means for validation: AUC of the normality prompts, and of the classes (POS).

    Raises:
        ValueError: no class has enough positive cases to be measured.
    """
    if not measured_classes(cases, protocol):
        raise ValueError(
            f"validation: none of {', '.join(protocol.phrases)} has {protocol.min_positives} "
            f"positive cases among {len(cases)}; validate on more of them"
        )
    values: dict[str, list[float]] = {"normal_auc": [], "abnormal_auc_pos": []}
    for question in questions(table, cases, protocol):
        if question.metric in values:
            among = question.among
            values[question.metric].append(auc(question.positive[among], question.scores[among]))
    return {name: float(np.mean(each)) for name, each in values.items()}


def measure_normality(
    validation: Sequence[Question],
    test: Sequence[Question],
    weights: Float[np.ndarray, "resample case"],
) -> Answers:
    """Normality at fixed thresholds on test: means over the prompts of ``operating_points``.

    The balanced accuracy is there for each prompt as well. What has no value is left out.

    Args:
        validation: questions of the validation cases, which give thresholds and calibration.
        test: questions of the test cases.
        weights: as for :func:`measure`.
    """
    chosen = {q.detail: (q.positive, q.scores) for q in validation if q.metric == "normal_auc"}
    answers = {
        (metric, q.detail): answer
        for q in test
        if q.metric == "normal_auc"
        for metric, answer in operating_points(
            chosen[q.detail], (q.positive, q.scores), weights
        ).items()
    }
    each = {key: a for key, a in answers.items() if key[0] == "normal_balanced_accuracy"}
    both = each | _means(answers)
    return {key: answer for key, answer in both.items() if np.isfinite(answer[0])}


def _means(answers: Answers) -> Answers:
    """The mean over the details of each metric, as its detail "mean"."""
    means = {}
    for metric in dict.fromkeys(name for name, _ in answers):
        means[metric, "mean"] = mean_of(a for (name, _), a in answers.items() if name == metric)
    return means
