"""One protocol on a user's copy of a published set: numbers, and what was left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offclip.evaluation import Record, RunInfo
from offclip.evaluation.published_protocol import PublishedSet, published_numbers
from offclip.folders import Mark, claim
from offclip.keys import config_hash
from offclip.study.benchmark.cases import Cases, Options, check_missing
from offclip.study.benchmark.measures import Units, measure_boxes, measure_units, units_of
from offclip.study.benchmark.pointing import point_in_files
from offclip.study.benchmark.records import corrected_records, published_records
from offclip.study.benchmark.scores import (
    CONTENTS,
    SCORED,
    Scored,
    Scorer,
    score_digest,
    score_images,
)
from offclip.study.benchmark.sets import CorrectedSet

_DICOM = (".dicom", ".dcm")


@dataclass(frozen=True)
class Copy:
    """A user's copy of a set, the model that scores it, and where the scores are kept."""

    dataset: str
    root: Path
    scorer: Scorer
    options: Options
    folder: Path
    report: Callable[[str], None] | None

    def score(self, prompts: Sequence[str], names: Sequence[str]) -> tuple[Scored, Path]:
        """Scores of these images, and their folder; stops where one is missing."""
        scorer, report = self.scorer, self.report
        settings = {"root": str(self.root.resolve()), "scorer": score_digest(scorer, prompts)}
        here = self.folder / f"{self.dataset}-{config_hash(settings)}"
        claim(here, Mark(SCORED, self.dataset, settings, CONTENTS))
        scored = score_images(scorer, prompts, self.root, names, here, report=report)
        check_missing(scored.refused, len(names), self.options)
        return scored, here


@dataclass(frozen=True)
class Part:
    """The results of one protocol."""

    records: list[Record]
    notes: list[str]
    left_out: dict[str, int]


def published_part(
    copy: Copy, rules: PublishedSet, cases: Cases, scored: Scored, origin: RunInfo
) -> Part:
    """The published protocol, on the classes whose prompt was scored."""
    prompts, labels = rules.prompts(cases.test), rules.labels(cases.test)
    prompts = {name: prompt for name, prompt in prompts.items() if prompt in scored.table}
    variant, notes = origin.variant, []
    if dropped := len(cases.test) - len(labels):
        notes.append(f"{dropped} images dropped that have none of its classes")
    dicom = all(name.endswith(_DICOM) for name in cases.test["image"])
    if copy.options.published_pixels:
        if not dicom:
            raise ValueError(
                f"published_pixels: the images of {copy.dataset} are read in one way only; leave "
                "the option out"
            )
        once = list(dict.fromkeys(prompts.values()))
        again = replace(copy, scorer=replace(copy.scorer, pixels="max"))
        scored, _ = again.score(once, list(labels.index))
        variant = f"{variant}, published pixels"
    if dicom:
        used = "divided by their maximum" if copy.options.published_pixels else "windowed as ours"
        notes.append(f"DICOM values {used}")
    labels = labels.loc[labels.index.isin(scored.table.index), list(prompts)]
    scores = scored.table[list(prompts.values())].set_axis(list(prompts), axis=1)
    numbers = published_numbers(labels, scores, rules.metrics)
    records = published_records(origin, numbers, len(labels), variant)
    return Part(records, notes, numbers.left_out)


def corrected_part(
    copy: Copy,
    corrected: CorrectedSet,
    cases: Cases,
    scored: Scored,
    origin: RunInfo,
    folder: Path,
) -> Part:
    """The corrected protocol by studies, on frontal images alone where the set wants it, boxes."""
    options = copy.options
    test = cases.test[cases.test["image"].isin(scored.table.index)]
    held = cases.validation[cases.validation["image"].isin(scored.table.index)]
    validation = units_of(held, scored.table, options.views) if len(held) else None
    part = Part([], [], {})
    views = {"test": options.views}
    if corrected.also_frontal and options.views != "frontal":
        views["test_frontal"] = "frontal"
    for split, view in views.items():
        units = units_of(test, scored.table, view)
        if not len(units.cases):
            part.notes.append(f"{split}: no image says that it is frontal")
            continue
        measures = measure_units(
            units,
            corrected,
            validation=validation if view == options.views else None,
            resamples=options.resamples,
        )
        part.records.extend(corrected_records(origin, split, measures))
        part.notes.extend(f"{split}: {n}" for n in [*_about(units, view), *measures.notes])
        if not part.left_out:
            part.left_out.update(measures.left_out)
    boxed = test[test["boxes"].map(len) > 0]
    if len(boxed) and origin.head == "cosine":
        part.notes.append("no pointing game: the cosine head has no attention")
    elif len(boxed):
        phrases = corrected.protocol.phrases
        hits = point_in_files(copy.scorer, phrases, boxed, scored, copy.root, folder)
        least, resamples = options.min_positives, options.resamples
        pointing = measure_boxes(hits, boxed, least=least, resamples=resamples)
        part.records.extend(corrected_records(origin, "test", pointing))
        part.notes.extend(pointing.notes)
    return part


def _about(units: Units, views: str) -> list[str]:
    notes = [f"{len(units.cases)} studies, views: {views}"]
    if units.without_view:
        notes.append(f"{units.without_view} studies without a frontal image left out")
    if units.disagreeing:
        notes.append(f"{units.disagreeing} studies whose images are labelled differently")
    return notes
