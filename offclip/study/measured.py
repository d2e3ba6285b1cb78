"""One finished run, measured on the cases of one evidence split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from offclip.evaluation import (
    RunInfo,
    bootstrap_weights,
    clusters_of,
    measure,
    measure_normality,
    measure_pointing,
    questions,
)
from offclip.evaluation.bootstrap import Answers
from offclip.study.material import Material
from offclip.study.run import Run

RESAMPLES = 1000


@dataclass(frozen=True)
class Measured:
    """Answers of one run on the cases of one evidence split, with their resamples."""

    run: Run
    material: Material
    split: str
    cases: pd.DataFrame
    answers: Answers
    counts: Mapping[tuple[str, str], int]  # cases behind an answer, where they are not all
    chance: Mapping[str, float]  # of pointing, by class

    @cached_property
    def unit(self) -> str:
        """What is resampled: images, or patients where one has several."""
        return "patients" if pd.Series(clusters_of(self.cases)).duplicated().any() else "images"


def measure_run(run: Run, material: Material, split: str) -> Measured:
    """Measure a run on ``validation`` or ``test`` (drawable cases), or on ``test_all``.

    Every run gets the same resamples of the same cases: differences between runs are paired.
    Patients are sampled with all of their cases (:func:`offclip.evaluation.protocol.clusters_of`).
    """
    scored = "validation" if split == "validation" else "test"
    cases = material.cases(scored, drawable=split != "test_all")
    weights = bootstrap_weights(
        clusters_of(cases), cases["is_normal"].to_numpy(), resamples=RESAMPLES, seed=0
    )
    asked = material.asked
    posed = questions(run.scores(scored), cases, asked)
    answers = measure(posed, weights)
    counts = {(q.metric, q.detail): int(q.among.sum()) for q in posed if not q.among.all()}
    if split == "test":
        chosen = questions(run.scores("validation"), material.cases("validation"), asked)
        answers |= measure_normality(chosen, posed, weights)
    chance: dict[str, float] = {}
    hits = run.pointing() if split == "test" else None
    if hits is not None:
        ids, least = list(cases["study_id"]), asked.min_positives
        pointing = measure_pointing(hits, ids, weights, least=least)
        answers |= {("pointing", label): rate for label, rate in pointing.rates.items()}
        counts |= {("pointing", label): n for label, n in pointing.counts.items()}
        chance = pointing.chance
    return Measured(run, material, split, cases, answers, counts, chance)


def run_info(runs: Sequence[Run], dataset: str, *, pooled: bool = False) -> RunInfo:
    """What evidence says of a run, or of several that a number is over.

    Args:
        runs: the first one gives variant, setting, prompting and head; configurations, commits
            and devices are those of all, and the minutes their sum.
        dataset: of the evidence.
        pooled: the number is over seeds.
    """
    config = runs[0].config

    def named(key: str) -> str:
        return ", ".join(dict.fromkeys(str(run.about[key]) for run in runs))

    return RunInfo(
        dataset=dataset,
        variant=config.variant,
        setting=config.setting,
        prompting=config.prompting,
        head=config.model.head,
        seed=None if pooled else config.train.seed,
        config=named("config"),
        commit=named("commit"),
        device=named("device"),
        minutes=sum(float(str(run.about["minutes"])) for run in runs),
    )
