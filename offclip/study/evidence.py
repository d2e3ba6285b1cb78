"""From finished runs to evidence records: per seed, over seeds, and paired differences."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from offclip.evaluation import (
    Interval,
    Record,
    clusters_of,
    percentile_interval,
    questions,
    resampled_over_seeds,
)
from offclip.evaluation.delong import delong_difference, holm
from offclip.evaluation.protocol import Question
from offclip.study.material import Material
from offclip.study.measured import RESAMPLES, Measured, measure_run, run_info
from offclip.study.pooling import check_seeds
from offclip.study.run import Run

BOOTSTRAP = "bootstrap over {}, " + f"{RESAMPLES} resamples, stratified by is_normal"
OVER_SEEDS = BOOTSTRAP + "; Student's t over seeds"


def run_records(measured: Measured) -> list[Record]:
    """Records of one seed: every answer with its interval, and the chance level of pointing."""
    records = []
    for key, (value, resampled) in measured.answers.items():
        interval = percentile_interval(value, resampled)
        records.append(_record(measured, *key, interval, n=measured.counts.get(key)))
    return records + [
        _record(measured, "pointing_chance", label, value, n=measured.counts["pointing", label])
        for label, value in measured.chance.items()
    ]


def over_seeds(runs: Sequence[Measured], records: Iterable[Record]) -> list[Record]:
    """Means over the seeds of one variant; intervals resample images and seeds.

    Raises:
        ValueError: the runs differ in more than their seeds, or two have the same seed.
    """
    _check_runs(runs)
    first = runs[0]
    combined = []
    for (metric, detail), _ in first.answers.items():
        value, resampled = _mean(runs, metric, detail)
        drawn = resampled_over_seeds(resampled)
        if metric != "normal_margin":  # all others are shares or areas, widened seeds or not
            drawn = drawn.clip(0, 1)
        interval = percentile_interval(value, drawn)
        n = first.counts.get((metric, detail))
        combined.append(_record(first, metric, detail, interval, n=n, runs=runs))
    without: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.interval is None:
            without.setdefault((record.metric, record.detail), []).append(record)
    for (metric, detail), each in without.items():
        value = float(np.mean([record.value for record in each]))
        combined.append(_record(first, metric, detail, value, n=each[0].n, runs=runs))
    return combined


def differences(
    runs: Sequence[Measured], baseline: Sequence[Measured], names: tuple[str, str]
) -> list[Record]:
    """Paired difference of every answer, both means over their seeds, on the same resamples.

    Images are paired, and where both have the same seeds (the same weights and batches to begin
    with), seeds are as well.

    Raises:
        ValueError: the runs of one side differ in more than their seeds, or two of them have the
            same seed; or the two sides were not measured on the same cases.
    """
    for each in (runs, baseline):
        _check_runs(each)
    _check_cases(runs[0], baseline[0])
    same = _seeds(runs) == _seeds(baseline)
    records = []
    for metric, detail in runs[0].answers:
        value, resampled = _mean(runs, metric, detail)
        other, other_resampled = _mean(baseline, metric, detail)
        if same:
            difference = resampled_over_seeds(resampled - other_resampled)
        else:
            difference = resampled_over_seeds(resampled) - resampled_over_seeds(
                other_resampled, seed=1
            )
        interval = percentile_interval(value - other, difference)
        records.append(
            _record(
                runs[0],
                f"{metric}_difference",
                f"{names[0]} minus {names[1]}: {detail}",
                interval,
                n=runs[0].counts.get((metric, detail)),
                runs=[*runs, *baseline],
            )
        )
    return records


def delong_records(run: Measured, baseline: Measured, name: str) -> list[Record]:
    """DeLong's p-values of one run against a baseline of the same seed, adjusted for being many.

    One for each normality prompt and each abnormal class (POS), adjusted by Holm over all of them.
    Unknown labels count nowhere, and the cases of a patient do not count as independent: a class
    whose positives (or negatives) are all of one patient has no test. Empty if the seeds differ.

    Raises:
        ValueError: the two were not measured on the same cases.
    """
    if _seeds([run]) != _seeds([baseline]):
        return []
    _check_cases(run, baseline)
    asked = run.material.asked
    both = [questions(each.run.scores("test"), each.cases, asked) for each in (run, baseline)]
    clusters = clusters_of(run.cases)
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(*both, strict=True)
        if ours.metric in ("normal_auc", "abnormal_auc_pos") and _varies(ours, clusters)
    ]
    found = [_delong_p(ours, theirs, clusters) for ours, theirs in pairs]
    return [
        _record(
            run,
            f"{a.metric}_delong_p",
            f"{run.run.config.name} minus {name}: {a.detail}",
            p,
            n=int(a.among.sum()),
        )
        for (a, _), p in zip(pairs, holm(np.array(found)).tolist(), strict=True)
    ]


def _varies(question: Question, clusters: np.ndarray) -> bool:
    """Whether both labels are those of two patients at least."""
    kinds = (question.among & question.positive, question.among & ~question.positive)
    return all(len(set(clusters[kind])) > 1 for kind in kinds)


def _delong_p(ours: Question, theirs: Question, clusters: np.ndarray) -> float:
    """The p-value of one question, on the cases that count for it."""
    among = ours.among
    first, second = ours.scores[among], theirs.scores[among]
    return delong_difference(ours.positive[among], first, second, clusters[among])[1]


def _check_runs(runs: Sequence[Measured]) -> None:
    """Refuse to pool runs that differ in more than their seeds, or were measured on other cases."""
    check_seeds([each.run.config for each in runs])
    for other in runs[1:]:
        _check_cases(runs[0], other)


def _check_cases(one: Measured, other: Measured) -> None:
    """Refuse runs that were not measured on the same cases."""
    if one.split != other.split:
        raise ValueError(f"split: expected one, got {one.split!r} and {other.split!r}")
    if one.material.fingerprint != other.material.fingerprint:
        data = [f"{each.material.dataset} {each.material.fingerprint}" for each in (one, other)]
        raise ValueError(f"records: expected the same for all runs, got {' and '.join(data)}")


def _mean(runs: Sequence[Measured], metric: str, detail: str) -> tuple[float, np.ndarray]:
    values, resampled = zip(*(run.answers[metric, detail] for run in runs), strict=True)
    return float(np.mean(values)), np.stack(resampled)


def _seeds(runs: Sequence[Measured]) -> list[int]:
    return [each.run.config.train.seed for each in runs]


def _record(
    measured: Measured,
    metric: str,
    detail: str,
    value: float | Interval,
    *,
    n: int | None = None,
    runs: Sequence[Measured] | None = None,
) -> Record:
    """A record of one run, or of several (``runs``) without a seed, which names all of them."""
    several = [each.run for each in runs or [measured]]
    info = run_info(several, measured.material.dataset, pooled=runs is not None)
    method = (BOOTSTRAP if runs is None else OVER_SEEDS).format(measured.unit)
    n = n or len(measured.cases)
    return info.record(measured.split, metric, detail, value, n, method=method)


def study_records(runs: Mapping[str, Sequence[Run]], material: Material) -> list[Record]:
    """Every record of a study: by seed, over seeds, and ``offclip`` against every other variant.

    Args:
        runs: runs of one head by label; a label is a variant's name, with ``@raw`` behind it if it
            was trained on raw sentences. Several seeds each, in the same order.
        material: what they were trained on.
    """
    records: list[Record] = []
    for split in material.evidence_splits:
        measured = {
            name: [measure_run(run, material, split) for run in each] for name, each in runs.items()
        }
        for each in measured.values():
            single = [record for one in each for record in run_records(one)]
            found = single + over_seeds(each, single)
            records += [r for r in found if split == "test" or not _is_class(r)]
        for name, each in measured.items():
            if name != "offclip" and "offclip" in measured:
                found = differences(measured["offclip"], each, ("offclip", name))
                records += [r for r in found if not _is_class(r)]
                if split == "test":
                    pairs = zip(measured["offclip"], each, strict=False)
                    records += [r for a, b in pairs for r in delong_records(a, b, name)]
    return records


def _is_class(record: Record) -> bool:
    """A value of a single abnormal class, which is recorded for the test split alone."""
    return record.metric.startswith(("abnormal", "pointing")) and not record.detail.endswith("mean")
