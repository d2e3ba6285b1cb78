"""A model on a published set: both protocols side by side, from the files that people have.

Reader → images → one score table → published numbers and corrected ones → evidence records.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from offclip.evaluation import Record, RunInfo, device_name
from offclip.files import check_folder
from offclip.folders import expect, separate, settled
from offclip.keys import config_hash
from offclip.models.heads import CosineHead
from offclip.study.benchmark.cases import Options, cases_of
from offclip.study.benchmark.protocols import Copy, Part, corrected_part, published_part
from offclip.study.benchmark.records import ModelName, side_by_side
from offclip.study.benchmark.scores import SCORED, Scorer, resize_for
from offclip.study.benchmark.sets import PUBLISHED, corrected_set

SCORES = "runs/scores"


@dataclass(frozen=True)
class Evaluation:
    """Result of the evaluation of a model on a published set.

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
    copy = Copy(dataset, Path(root), scorer, options, Path(folder), report)
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
    origin = RunInfo(
        dataset=dataset,
        **asdict(name),
        head="cosine" if isinstance(scorer.model.head, CosineHead) else "cross_attention",
        config=config_hash({"scores": digest, **asdict(options)}),
        minutes=scored.minutes,
        device=device_name(next(scorer.model.parameters()).device),
    )
    parts: dict[str, Part] = {}
    if rules and options.protocol != "corrected":
        parts["published"] = published_part(copy, rules, cases, scored, origin)
    if options.protocol != "published":
        parts["corrected"] = corrected_part(
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


__all__ = [
    "Evaluation",
    "ModelName",
    "Options",
    "Scorer",
    "evaluate_published_set",
    "resize_for",
]
