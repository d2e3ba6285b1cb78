"""A model on a published set: both protocols side by side, from the files that people have.

Reader → images → one score table → published numbers and corrected ones → evidence records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from offclip.evaluation import Record, device_name
from offclip.evaluation.published_protocol import PublishedSet, published_numbers
from offclip.files import check_folder
from offclip.folders import Mark, claim, expect, separate, settled
from offclip.keys import config_hash
from offclip.models.heads import CosineHead
from offclip.study.benchmark.cases import Cases, Options, cases_of, check_missing
from offclip.study.benchmark.measures import Units, measure_boxes, measure_units, units_of
from offclip.study.benchmark.pointing import point_in_files
from offclip.study.benchmark.records import (
    ModelName,
    Origin,
    corrected_records,
    published_records,
    side_by_side,
)
from offclip.study.benchmark.scores import (
    CONTENTS,
    SCORED,
    Scored,
    Scorer,
    resize_for,
    score_digest,
    score_images,
)
from offclip.study.benchmark.sets import PUBLISHED, CorrectedSet, corrected_set

SCORES = "runs/scores"
_DICOM = (".dicom", ".dcm")


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        records: evidence, both protocols.
        table: both side by side, see ``offclip.study.benchmark.records.side_by_side``.
        notes: which images and pixels were used, and what was left out, with counts.
        missing: why a test or validation image has no scores, by its path.
        left_out: classes without a value, by protocol, with their positive cases.
        unknown: prompts that were not scored, each with the words that the model does not know;
            classes that need one of them have no value.
        folder: of the score table, which is as private as the images.
    """

    records: list[Record]
    table: pd.DataFrame
    notes: list[str]
    missing: dict[str, str]
    left_out: dict[str, dict[str, int]]
    unknown: dict[str, list[str]]
    folder: Path


@dataclass(frozen=True)
class _Copy:
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
class _Part:
    """The results of one protocol."""

    records: list[Record]
    notes: list[str]
    left_out: dict[str, int]


def evaluate_published_set(
    dataset: str,
    root: str | Path,
    scorer: Scorer,
    name: ModelName,
    *,
    options: Options | None = None,
    folder: str | Path = SCORES,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Evaluate a model on a user's copy of a published set.

    Scores are kept in ``folder/<dataset>-<hash of model, prompts and root>``: an interrupted call
    goes on, another one with other options scores nothing twice, and two copies of a set share
    nothing.

    Args:
        dataset: a name of ``offclip.data.readers.READERS``.
        root: of the copy.
        scorer: the model, and how it sees files.
        name: how evidence names the model.
        options: default: both protocols, nothing missing.
        folder: for score tables; private, and outside of ``root``.
        report: gets a line a part of the images.

    Raises:
        ValueError: an unknown set, a damaged table, no test image, images that cannot be read
            (unless ``allow_missing``), or published pixels of files that are not DICOM.
        FileNotFoundError: a table, or every image, is missing.
    """
    options = options or Options()
    corrected = corrected_set(dataset, min_positives=options.min_positives)
    rules = PUBLISHED.get(dataset)
    if rules is None and options.protocol == "published":
        raise ValueError(f"protocol: no published one of {dataset}; take 'corrected'")
    settled(check_folder(root, "root", f"the folder of your copy of {dataset}"))
    separate(folder, "scores", root=root)
    copy = _Copy(dataset, Path(root), scorer, options, Path(folder), report)
    cases = cases_of(dataset, root, options)
    own = rules.prompts(cases.test).values() if rules else ()
    every = list(dict.fromkeys([*corrected.prompts, *own]))
    unknown = {prompt: w for prompt in every if (w := scorer.model.unknown_words(prompt))}
    prompts = [prompt for prompt in every if prompt not in unknown]
    if not prompts:
        raise ValueError(
            f"prompts: the model's vocabulary lacks a word of each of the {len(every)} prompts of "
            f"{dataset}, such as {unknown[every[0]][0]!r}; it cannot be evaluated on this set"
        )
    scored, here = copy.score(prompts, cases.names)
    digest = expect(here, SCORED).settings["scorer"]  # weights are hashed once
    origin = Origin(
        dataset,
        **asdict(name),
        head="cosine" if isinstance(scorer.model.head, CosineHead) else "cross_attention",
        config=config_hash({"scores": digest, **asdict(options)}),
        minutes=scored.minutes,
        device=device_name(next(scorer.model.parameters()).device),
    )
    parts: dict[str, _Part] = {}
    if rules and options.protocol != "corrected":
        parts["published"] = _published(copy, rules, cases, scored, origin)
    if options.protocol != "published":
        parts["corrected"] = _corrected(
            copy, corrected.without(unknown), cases, scored, origin, here
        )
    records = [record for part in parts.values() for record in part.records]
    notes = [*cases.notes]
    if scored.refused:
        notes.append(f"{len(scored.refused)} of {len(cases.names)} images have no scores")
    if unknown:
        notes.append(f"{len(unknown)} of {len(every)} prompts not scored, for an unknown word")
    for protocol, part in parts.items():
        notes += [f"{protocol}: {note}" for note in [*part.notes, *_left_out(part.left_out)]]
    table = side_by_side(
        records,
        rules.normal if rules else "",
        missing=int(cases.test["image"].isin(list(scored.refused)).sum()),
        unknown=len(unknown),
    )
    left_out = {protocol: part.left_out for protocol, part in parts.items()}
    return Evaluation(records, table, notes, scored.refused, left_out, unknown, here)


def _left_out(classes: Mapping[str, int]) -> list[str]:
    if not classes:
        return []
    each = ", ".join(f"{name} ({n})" for name, n in sorted(classes.items()))
    return [f"{len(classes)} classes without a value (positive cases): {each}"]


def _published(
    copy: _Copy, rules: PublishedSet, cases: Cases, scored: Scored, origin: Origin
) -> _Part:
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
    return _Part(records, notes, numbers.left_out)


def _corrected(
    copy: _Copy,
    corrected: CorrectedSet,
    cases: Cases,
    scored: Scored,
    origin: Origin,
    folder: Path,
) -> _Part:
    """The corrected protocol by studies, on frontal images alone where the set wants it, boxes."""
    options = copy.options
    test = cases.test[cases.test["image"].isin(scored.table.index)]
    held = cases.validation[cases.validation["image"].isin(scored.table.index)]
    validation = units_of(held, scored.table, options.views) if len(held) else None
    part = _Part([], [], {})
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


__all__ = [
    "Evaluation",
    "ModelName",
    "Options",
    "Scorer",
    "evaluate_published_set",
    "resize_for",
]
