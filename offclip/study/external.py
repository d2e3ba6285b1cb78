"""A model on a published set: both protocols side by side, from the files that people have.

Reader → images → one score table → published numbers and corrected ones → evidence records.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from offclip.evaluation import Record, device_name
from offclip.evaluation.published_protocol import PublishedSet, published_numbers
from offclip.files import check_folder
from offclip.folders import Mark, claim, expect, separate, settled
from offclip.keys import config_hash
from offclip.models.heads import CosineHead
from offclip.study.external_cases import Cases, Options, cases_of, check_missing
from offclip.study.external_corrected import Corrected, Units, measure_units, units_of
from offclip.study.external_pointing import measure_pointing, point
from offclip.study.external_records import (
    ModelName,
    Origin,
    corrected_records,
    published_records,
    side_by_side,
)
from offclip.study.external_scores import (
    CONTENTS,
    SCORED,
    Scored,
    Scorer,
    score_digest,
    score_images,
)
from offclip.study.external_sets import PUBLISHED, CorrectedSet, corrected_set

SCORES = "runs/scores"
_DICOM = (".dicom", ".dcm")
Report = Callable[[str], None]


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        records: evidence, both protocols.
        table: both side by side, see :func:`offclip.study.external_records.side_by_side`.
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
    """A user's copy of a set, and where scores of its images are kept."""

    dataset: str
    root: Path
    folder: Path
    options: Options
    report: Report | None

    def score(
        self, scorer: Scorer, prompts: Sequence[str], names: Sequence[str]
    ) -> tuple[Scored, Path]:
        """Scores of these images, and their folder; stops where one is missing."""
        settings = {"root": str(self.root.resolve()), "scorer": score_digest(scorer, prompts)}
        here = self.folder / f"{self.dataset}-{config_hash(settings)}"
        claim(here, Mark(SCORED, self.dataset, settings, CONTENTS))
        found = score_images(scorer, prompts, self.root, names, here, report=self.report)
        check_missing(found.refused, len(names), self.options)
        return found, here


@dataclass(frozen=True)
class _Part:
    """What one protocol found."""

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
    report: Report | None = None,
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
    asked = corrected_set(dataset, min_positives=options.min_positives)
    rules = PUBLISHED.get(dataset)
    settled(check_folder(root, "root", f"the folder of your copy of {dataset}"))
    separate(folder, "scores", root=root)
    copy = _Copy(dataset, Path(root), Path(folder), options, report)
    cases = cases_of(dataset, root, options)
    own = rules.prompts(cases.test).values() if rules else ()
    every = list(dict.fromkeys([*asked.prompts, *own]))
    unknown = {prompt: w for prompt in every if (w := scorer.model.unknown_words(prompt))}
    prompts = [prompt for prompt in every if prompt not in unknown]
    if not prompts:
        raise ValueError(
            f"prompts: the model's vocabulary lacks a word of each of the {len(every)} prompts of "
            f"{dataset}, such as {unknown[every[0]][0]!r}; it cannot be evaluated on this set"
        )
    asked = asked.without(unknown)
    scored, here = copy.score(scorer, prompts, cases.names)
    head = "cosine" if isinstance(scorer.model.head, CosineHead) else "cross_attention"
    digest = expect(here, SCORED).settings["scorer"]  # weights are hashed once
    config = config_hash({"scores": digest, **asdict(options)})
    device = device_name(next(scorer.model.parameters()).device)
    origin = Origin(dataset, name, head, config, scored.minutes, device)
    parts: dict[str, _Part] = {}
    if rules and options.protocol != "corrected":
        parts["published"] = _published(copy, rules, scorer, cases, scored, origin, unknown)
    if options.protocol != "published":
        parts["corrected"] = _corrected(copy, asked, scorer, cases, scored, origin, here)
    if not parts:
        raise ValueError(f"protocol: no published one of {dataset}; take 'corrected'")
    notes = [*cases.notes, *_missing(scored.refused, len(cases.names))]
    if unknown:
        notes.append(f"{len(unknown)} of {len(every)} prompts not scored, for an unknown word")
    for protocol, part in parts.items():
        notes += [f"{protocol}: {note}" for note in [*part.notes, *_left_out(part.left_out)]]
    records = [record for part in parts.values() for record in part.records]
    return Evaluation(
        records,
        side_by_side(
            records,
            rules.normal if rules else "",
            missing=int(cases.test["image"].isin(list(scored.refused)).sum()),
            unknown=len(unknown),
        ),
        notes,
        scored.refused,
        {protocol: part.left_out for protocol, part in parts.items()},
        unknown,
        here,
    )


def _missing(refused: Mapping[str, str], count: int) -> list[str]:
    return [f"{len(refused)} of {count} images have no scores"] if refused else []


def _left_out(classes: Mapping[str, int]) -> list[str]:
    if not classes:
        return []
    each = ", ".join(f"{name} ({n})" for name, n in sorted(classes.items()))
    return [f"{len(classes)} classes without a value (positive cases): {each}"]


def _published(
    copy: _Copy,
    rules: PublishedSet,
    scorer: Scorer,
    cases: Cases,
    scored: Scored,
    origin: Origin,
    unknown: Collection[str],
) -> _Part:
    prompts, labels = rules.prompts(cases.test), rules.labels(cases.test)
    prompts = {name: prompt for name, prompt in prompts.items() if prompt not in unknown}
    variant, notes = origin.model.variant, []
    if len(labels) < len(cases.test):
        dropped = len(cases.test) - len(labels)
        notes.append(f"{dropped} images dropped that have none of its classes")
    dicom = all(name.endswith(_DICOM) for name in cases.test["image"])
    if copy.options.published_pixels:
        if not dicom:
            raise ValueError(
                f"published_pixels: the images of {copy.dataset} are read in one way only; leave "
                "the option out"
            )
        once = list(dict.fromkeys(prompts.values()))
        scored, _ = copy.score(replace(scorer, pixels="max"), once, list(labels.index))
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
    asked: CorrectedSet,
    scorer: Scorer,
    cases: Cases,
    scored: Scored,
    origin: Origin,
    folder: Path,
) -> _Part:
    options = copy.options
    held = _units(cases.validation, scored, options.views) if len(cases.validation) else None
    views = {"test": options.views}
    if asked.also_frontal and options.views != "frontal":
        views["test_frontal"] = "frontal"
    records: list[Record] = []
    notes: list[str] = []
    left_out: dict[str, int] = {}
    for split, view in views.items():
        units = _units(cases.test, scored, view)
        if not len(units.cases):
            notes.append(f"{split}: no image says that it is frontal")
            continue
        same = held if view == options.views else None
        found = measure_units(units, asked, validation=same, resamples=options.resamples)
        records += corrected_records(origin, split, found)
        notes += [f"{split}: {note}" for note in [*_about(units, view), *found.notes]]
        left_out = left_out or found.left_out
    has_box = cases.test["boxes"].map(len) > 0
    boxed = cases.test[has_box & cases.test["image"].isin(scored.table.index)]
    if len(boxed):
        pointed = _pointing(copy, asked, scorer, boxed, scored, folder)
        records += corrected_records(origin, "test", pointed)
        notes += pointed.notes
    return _Part(records, notes, left_out)


def _units(rows: pd.DataFrame, scored: Scored, views: str) -> Units:
    return units_of(rows[rows["image"].isin(scored.table.index)], scored.table, views)


def _about(units: Units, views: str) -> list[str]:
    notes = [f"{len(units.cases)} studies, views: {views}"]
    if units.without_view:
        notes.append(f"{units.without_view} studies without a frontal image left out")
    if units.disagreeing:
        notes.append(f"{units.disagreeing} studies whose images are labelled differently")
    return notes


def _pointing(
    copy: _Copy,
    asked: CorrectedSet,
    scorer: Scorer,
    boxed: pd.DataFrame,
    scored: Scored,
    folder: Path,
) -> Corrected:
    if isinstance(scorer.model.head, CosineHead):
        return Corrected({}, {}, {}, ["no pointing game: the cosine head has no attention"])
    hits = point(scorer, asked.asked.phrases, boxed, scored, copy.root, folder)
    least, resamples = copy.options.min_positives, copy.options.resamples
    found = measure_pointing(hits, boxed, least=least, resamples=resamples)
    if not found.left_out:
        return found
    rare = ", ".join(f"{name} ({n})" for name, n in sorted(found.left_out.items()))
    return replace(found, notes=[f"pointing: too few boxed images of {rare}"])
