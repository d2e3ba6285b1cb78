"""The corrected protocol on a published set: studies as units, patients drawn anew, no test labels
in a threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from offclip.evaluation import Protocol, measure, measure_normality, questions
from offclip.evaluation.metrics import patient_weights
from offclip.evaluation.protocol import Question, has_label
from offclip.study.external_sets import VIEWS, CorrectedSet

FRONTAL = ("PA", "AP", "FRONTAL")
WITH_BESIDE = "mean, with labels that are no findings"
Resampled = dict[tuple[str, str], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Units:
    """What is counted once: studies, with the scores of their images made one.

    Attributes:
        cases: ``study_id``, ``patient_id``, ``is_normal``, ``labels``.
        table: scores by study id and prompt.
        without_view: studies that have no image of the view asked for.
        disagreeing: studies whose images had different labels.
    """

    cases: pd.DataFrame
    table: pd.DataFrame
    without_view: int = 0
    disagreeing: int = 0


@dataclass(frozen=True)
class Corrected:
    """Answers of the corrected protocol.

    Attributes:
        answers: value and resamples by metric and detail.
        counts: units behind each answer.
        left_out: positives of the classes that are too rare to be measured.
        notes: what could not be measured, and why.
    """

    answers: Resampled
    counts: dict[tuple[str, str], int]
    left_out: dict[str, int]
    notes: list[str]


def units_of(rows: pd.DataFrame, table: pd.DataFrame, views: str = "mean") -> Units:
    """Studies of scored images; labels and scores are joined by the image's path.

    A label is positive for a study if it is for one of its images, and unknown if for one it is and
    for none positive. A study is normal if all of its images are.

    Args:
        rows: one an image: ``image, study_id, patient_id, view, is_normal, labels``.
        table: scores by image path and prompt.
        views: of :data:`offclip.study.external_sets.VIEWS`.

    Raises:
        ValueError: unknown views.
        KeyError: an image has no scores.
    """
    if views not in VIEWS:
        raise ValueError(f"views: expected one of {', '.join(VIEWS)}; got {views!r}")
    studies = rows["study_id"].nunique()
    if views == "frontal":
        rows = rows[rows["view"].isin(FRONTAL)]
    scores = table.loc[rows["image"]].groupby(rows["study_id"].to_numpy(), sort=False)
    made = scores.max() if views == "max" else scores.mean()
    grouped = rows.groupby("study_id", sort=False)
    cases = grouped.agg({"patient_id": "first", "is_normal": "all"}).reset_index()
    labels = {study: list(each) for study, each in grouped["labels"]}
    cases["labels"] = [_joined(labels[study]) for study in cases["study_id"]]
    disagreeing = sum(any(own != each[0] for own in each) for each in labels.values())
    return Units(cases, made, studies - len(cases), disagreeing)


def _joined(labels: Sequence[Mapping[str, int | None]]) -> dict[str, int | None]:
    if len(labels) == 1:
        return dict(labels[0])
    names = dict.fromkeys(name for own in labels for name in own)
    values = {name: [own.get(name, 0) for own in labels] for name in names}
    return {n: 1 if 1 in each else None if None in each else 0 for n, each in values.items()}


def measure_units(
    units: Units, asked: CorrectedSet, *, validation: Units | None = None, resamples: int = 1000
) -> Corrected:
    """Every question that has both kinds of cases, with resamples over patients.

    Args:
        units: of the test images.
        asked: of the set.
        validation: gives thresholds and calibration; None: no metric that needs them.
        resamples: of the bootstrap; the same patients for every question.
    """
    cases, weights = units.cases, patient_weights(
        list(units.cases["patient_id"]), resamples=resamples, seed=0
    )  # fmt: skip
    posed = questions(units.table, cases, asked.asked)
    rules = _other_rules(units, asked)
    main, other = _two_sided(posed), _two_sided(rules)
    answers = measure(main, weights) | measure(other, weights)
    notes: list[str] = []
    if asked.beside:
        answers |= _beside(units, asked, answers, weights)
    if validation is not None:
        found, reason = _at_thresholds(validation, main, asked.asked, weights)
        answers, notes = answers | found, [reason] if reason else []
    counts = {(q.metric, q.detail): int(q.among.sum()) for q in [*main, *other]}
    rare = {name: int(has_label(cases, name).sum()) for name in [*asked.asked.phrases]}
    left_out = {name: n for name, n in rare.items() if n < asked.asked.min_positives}
    one_sided = {q.detail for q in posed if q.metric == "abnormal_auc_pos"} - {
        q.detail for q in main
    }
    if one_sided:
        notes.append(f"no AUC where all known cases are positive: {', '.join(sorted(one_sided))}")
    if not any(q.metric == "normal_auc" for q in main):
        notes.append("no normality AUC: the cases are all normal, or none of them is")
    return Corrected(answers, {k: counts.get(k, len(cases)) for k in answers}, left_out, notes)


def _two_sided(posed: Sequence[Question]) -> list[Question]:
    """Questions that have an AUC."""
    return [q for q in posed if q.positive[q.among].any() and not q.positive[q.among].all()]


def _other_rules(units: Units, asked: CorrectedSet) -> list[Question]:
    """The normality prompts again, normal being who another rule says is."""
    table = units.table.loc[units.cases["study_id"]]
    everyone = np.ones(len(table), dtype=bool)
    return [
        Question(
            f"normal_auc_{rule.replace(' ', '_')}",
            prompt,
            has_label(units.cases, label),
            table[prompt].to_numpy(),
            everyone,
        )
        for rule, label in asked.normal_rules.items()
        for prompt in asked.asked.normal_prompts
    ]


def _beside(
    units: Units, asked: CorrectedSet, answers: Resampled, weights: np.ndarray
) -> Resampled:
    """Classes that are no findings, and the means that they would be part of."""
    protocol = replace(asked.asked, phrases=asked.beside, normal_prompts=[])
    names = {"abnormal_auc_pos": "non_disease_auc_pos", "abnormal_auc_pnc": "non_disease_auc_pnc"}
    posed = [
        replace(q, metric=names[q.metric])
        for q in questions(units.table, units.cases, protocol)
        if q.metric in names
    ]
    found = {k: a for k, a in measure(_two_sided(posed), weights).items() if k[1] != "mean"}
    for metric, own in names.items():
        each = (answers | found).items()
        both = [a for (m, d), a in each if m in (metric, own) and d != "mean"]
        if both:
            values, resampled = zip(*both, strict=True)
            found[metric, WITH_BESIDE] = (float(np.mean(values)), np.mean(resampled, axis=0))
    return found


def _at_thresholds(
    validation: Units, test: Sequence[Question], asked: Protocol, weights: np.ndarray
) -> tuple[Resampled, str]:
    """Normality at thresholds of validation, or the reason why there is none."""
    normal = [q for q in test if q.metric == "normal_auc"]
    held = validation.cases["is_normal"].to_numpy(dtype=bool)
    fewest = min(int(held.sum()), int((~held).sum()))
    if not normal or fewest < asked.min_positives:
        return {}, (
            f"no threshold: expected {asked.min_positives} normal and as many other cases in "
            f"validation, got {int(held.sum())} and {int((~held).sum())}"
        )
    chosen = questions(validation.table, validation.cases, asked)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample without a normal case
        return measure_normality(chosen, normal, weights), ""
