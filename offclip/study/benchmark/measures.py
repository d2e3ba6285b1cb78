"""The corrected protocol on a published set: studies are units, patients are resampled, and no test
label is in a threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from offclip.evaluation import (
    Protocol,
    bootstrap_weights,
    clusters_of,
    measure,
    measure_normality,
    measure_pointing,
    questions,
)
from offclip.evaluation.bootstrap import Answers, mean_of
from offclip.evaluation.protocol import Question, has_label
from offclip.study.benchmark.sets import VIEWS, CorrectedSet

FRONTAL = ("PA", "AP", "FRONTAL")
WITH_NON_FINDINGS = "mean, with labels that are no findings"
_NON_FINDINGS = {
    "abnormal_auc_pos": "non_disease_auc_pos",
    "abnormal_auc_pnc": "non_disease_auc_pnc",
}


@dataclass(frozen=True)
class Units:
    """What is counted once: studies, with the scores of their images made one.

    Attributes:
        cases: ``study_id``, ``patient_id``, ``is_normal``, ``labels``.
        table: scores by study id and prompt.
        without_view: studies that have no image of the chosen view.
        disagreeing: studies whose images had different labels.
    """

    cases: pd.DataFrame
    table: pd.DataFrame
    without_view: int = 0
    disagreeing: int = 0


@dataclass(frozen=True)
class Measures:
    """Answers of the corrected protocol.

    Attributes:
        answers: value and resamples by metric and detail; no resamples, no interval.
        counts: units behind each answer.
        left_out: positives of the classes that are too rare to be measured.
        notes: what could not be measured, and why.
    """

    answers: Answers
    counts: dict[tuple[str, str], int]
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def units_of(rows: pd.DataFrame, table: pd.DataFrame, views: str = "mean") -> Units:
    """Studies of scored images; labels and scores are joined by the image's path.

    A label is positive for a study if it is for one of its images, and unknown if for one it is and
    for none positive. A study is normal if all of its images are.

    Args:
        rows: one an image: ``image, study_id, patient_id, view, is_normal, labels``.
        table: scores by image path and prompt.
        views: of :data:`offclip.study.benchmark.sets.VIEWS`.

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
    grouped = rows.groupby("study_id", sort=False)
    cases = grouped.agg({"patient_id": "first", "is_normal": "all"}).reset_index()
    labels = {study: list(each) for study, each in grouped["labels"]}
    cases["labels"] = [_joined(labels[study]) for study in cases["study_id"]]
    disagreeing = sum(any(own != each[0] for own in each) for each in labels.values())
    joined = scores.max() if views == "max" else scores.mean()
    return Units(cases, joined, studies - len(cases), disagreeing)


def _joined(labels: Sequence[Mapping[str, int | None]]) -> dict[str, int | None]:
    if len(labels) == 1:
        return dict(labels[0])
    names = dict.fromkeys(name for own in labels for name in own)
    values = {name: [own.get(name, 0) for own in labels] for name in names}
    return {n: 1 if 1 in each else None if None in each else 0 for n, each in values.items()}


def measure_units(
    units: Units, corrected: CorrectedSet, *, validation: Units | None, resamples: int
) -> Measures:
    """Every question that has both positive and negative cases, with resamples over patients.

    Args:
        units: of the test images.
        corrected: what the set is measured by.
        validation: gives thresholds and calibration; None: no metric that needs them.
        resamples: of the bootstrap; the same patients for every question.
    """
    cases, protocol = units.cases, corrected.protocol
    weights = bootstrap_weights(clusters_of(cases), resamples=resamples, seed=0)
    posed = questions(units.table, cases, protocol)
    main = _two_sided(posed)
    rules, others = _other_rules(units, corrected), _non_findings(units, corrected)
    answers = measure(main, weights) | measure(rules, weights)
    answers |= {key: a for key, a in measure(others, weights).items() if key[1] != "mean"}
    if corrected.non_findings:
        answers |= _wider_means(answers)
    notes = []
    if validation is not None:
        if reason := _no_threshold(validation, main, protocol):
            notes.append(reason)
        else:
            chosen = questions(validation.table, validation.cases, protocol)
            normal = [q for q in main if q.metric == "normal_auc"]
            with np.errstate(divide="ignore", invalid="ignore"):  # a resample without a normal case
                answers |= measure_normality(chosen, normal, weights)
    one_sided = {q.detail for q in posed if q.metric == "abnormal_auc_pos"}
    one_sided -= {q.detail for q in main}
    if one_sided:
        notes.append(f"no AUC where all known cases are positive: {', '.join(sorted(one_sided))}")
    if not any(q.metric == "normal_auc" for q in main):
        notes.append("no normality AUC: the cases are all normal, or none of them is")
    among = {(q.metric, q.detail): int(q.among.sum()) for q in [*main, *rules, *others]}
    counts = {key: among.get(key, len(cases)) for key in answers}
    positives = {name: int(has_label(cases, name).sum()) for name in protocol.phrases}
    left_out = {name: n for name, n in positives.items() if n < protocol.min_positives}
    return Measures(answers, counts, left_out, notes)


def _two_sided(posed: Sequence[Question]) -> list[Question]:
    """Questions that have an AUC."""
    return [q for q in posed if q.positive[q.among].any() and not q.positive[q.among].all()]


def _other_rules(units: Units, corrected: CorrectedSet) -> list[Question]:
    """The normality prompts again, by the labels of other rules of normality."""
    table = units.table.loc[units.cases["study_id"]]
    everyone = np.ones(len(table), dtype=bool)
    return _two_sided([
        Question(
            f"normal_auc_{rule.replace(' ', '_')}",
            prompt,
            has_label(units.cases, label),
            table[prompt].to_numpy(),
            everyone,
        )
        for rule, label in corrected.normal_rules.items()
        for prompt in corrected.protocol.normal_prompts
    ])  # fmt: skip


def _non_findings(units: Units, corrected: CorrectedSet) -> list[Question]:
    """Classes that are no findings, under metrics of their own."""
    protocol = replace(corrected.protocol, phrases=corrected.non_findings, normal_prompts=[])
    posed = questions(units.table, units.cases, protocol)
    renamed = [replace(q, metric=_NON_FINDINGS.get(q.metric, "")) for q in posed]
    return _two_sided([q for q in renamed if q.metric])


def _wider_means(answers: Answers) -> Answers:
    """The means that the classes that are no findings would be part of."""
    means = {}
    for metrics in _NON_FINDINGS.items():
        each = [a for (m, detail), a in answers.items() if m in metrics and detail != "mean"]
        if each:
            means[metrics[0], WITH_NON_FINDINGS] = mean_of(each)
    return means


def _no_threshold(validation: Units, test: Sequence[Question], protocol: Protocol) -> str:
    """Why normality has no threshold, or ""."""
    normal = validation.cases["is_normal"].to_numpy(dtype=bool)
    counts = int(normal.sum()), int((~normal).sum())
    measured = any(q.metric == "normal_auc" for q in test)
    if measured and min(counts) >= protocol.min_positives:
        return ""
    return (
        f"no threshold: expected {protocol.min_positives} normal and as many other cases in "
        f"validation, got {counts[0]} and {counts[1]}"
    )


def measure_boxes(
    hits: pd.DataFrame, rows: pd.DataFrame, *, least: int, resamples: int
) -> Measures:
    """``pointing`` and ``pointing_chance`` by class and as the mean, with resamples over patients.

    Args:
        hits: of the pointing game, by image path.
        rows: ``image``, ``study_id`` and ``patient_id`` of its images.
        least: classes with fewer boxed images are left out and counted.
        resamples: of the bootstrap.
    """
    rows = rows[rows["image"].isin(hits["id"])]
    weights = bootstrap_weights(clusters_of(rows), resamples=resamples, seed=0)
    pointing = measure_pointing(hits, list(rows["image"]), weights, least=least)
    answers: Answers = {("pointing", label): rate for label, rate in pointing.rates.items()}
    chance = {label: (value, np.empty(0)) for label, value in pointing.chance.items()}
    answers |= {("pointing_chance", label): level for label, level in chance.items()}
    notes = []
    if pointing.left_out:
        rare = ", ".join(f"{name} ({n})" for name, n in sorted(pointing.left_out.items()))
        notes.append(f"pointing: too few boxed images of {rare}")
    return Measures(answers, {key: pointing.counts[key[1]] for key in answers}, notes=notes)
