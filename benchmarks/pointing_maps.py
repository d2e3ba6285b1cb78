"""How well finished runs point: which map, by whose rule, and what needs no image at all.

    python -m benchmarks.pointing_maps --record book/results/pointing_maps.csv
    python -m benchmarks.pointing_maps --set image_size=128 --variants infonce+filter offclip \\
        --seeds 0 1 2 --record book/results/pointing_grid_128.csv

Nothing is trained; a run that is missing is named. ``pointing_by_map``: the study's rule with each
kind of map (``offclip.evaluation.attention_maps``) and with ``place``, the mean of the attention
over all images: one place for each prompt, whatever the image. Validation may choose a kind, test
reports all. ``pointing_by_rule``: the attention by other published rules, with their chance.
``attention_patches``: to how many patches the attention goes, as the exponential of its entropy.
The variant ``no model`` points where training boxes are most often (``prior``), or has every hit
that the grid allows (``ceiling``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from benchmarks._common import (
    material_of,
    run_of_record,
    settings_given,
    sizes_changed,
    study_parser,
)
from offclip.evaluation import (
    Interval,
    Record,
    attention_maps,
    bootstrap_weights,
    clusters_of,
    measure_pointing,
    percentile_interval,
    place_prior,
    pointing_game,
    resampled_over_seeds,
    write_evidence,
)
from offclip.evaluation.scoring import positive_prompt
from offclip.study import Material, Run, load_model
from offclip.study.evidence import BOOTSTRAP, OVER_SEEDS
from offclip.study.material import DATASET, protocol
from offclip.study.measured import RESAMPLES, run_info
from offclip.study.pooling import check_once

KINDS = {"cross_attention": ("attention", "gradient", "patch"), "cosine": ("gradient", "patch")}
VARIANTS = ("infonce@raw", "infonce", "infonce+filter", "offdiag_bce", "offdiag_bce+filter",
            "offdiag_soft", "offdiag_soft+filter", "offclip")  # fmt: skip
TOLERANCE = 20 / 224  # of the image's side
RULES = {  # tolerance, and whether only the first box counts
    "any box": (0.0, False),
    "any box, 20 px of 224": (TOLERANCE, False),
    "first box, 20 px of 224": (TOLERANCE, True),
}
Answer = tuple[str, str, float, np.ndarray, int]  # metric, detail, value, resamples, cases


class Split:
    """Abnormal cases of a split at one image size, with their boxes and resamples."""

    def __init__(self, material: Material, split: str, size: int):
        cases = material.cases(split)
        normal = cases["is_normal"].to_numpy()
        weights = bootstrap_weights(clusters_of(cases), normal, resamples=RESAMPLES, seed=0)
        abnormal = ~normal
        self.size, self.weights = size, weights[:, abnormal]
        self.cases = cases[abnormal].reset_index(drop=True)
        self.ids = list(self.cases["study_id"])
        self.pictures = material.pictures(self.cases, size).draw(0)
        self.boxes = material.boxes(cases, size)
        train = material.cases("train")
        self.training_boxes = material.boxes(train[~train["is_normal"]], size)

    def hits(self, maps: np.ndarray, rule: str = "any box") -> pd.DataFrame:
        """The pointing game by one of the rules."""
        share, first = RULES[rule]
        classes, tolerance = list(protocol().phrases), share * self.size
        return pointing_game(
            maps, self.ids, classes, self.boxes, self.size, tolerance=tolerance, first_box=first
        )

    def answer(self, metric: str, detail: str, hits: pd.DataFrame) -> Answer:
        """The mean over classes with its resamples."""
        least = protocol().min_positives
        pointing = measure_pointing(hits, self.ids, self.weights, least=least)
        return metric, f"{detail}: mean", *pointing.rates["mean"], pointing.counts["mean"]

    def over_cases(self, metric: str, detail: str, hits: pd.DataFrame) -> Answer:
        """The mean over all pairs of image and class with its resamples."""
        pointing = measure_pointing(hits.assign(label="all"), self.ids, self.weights, least=1)
        return metric, f"{detail}: all cases", *pointing.rates["all"], len(hits)


def main() -> None:
    """Point with every run and write the evidence."""
    parser = study_parser(__doc__, trains=False)
    parser.add_argument("--head", default="cross_attention", choices=sorted(KINDS))
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of the runs")
    options = parser.parse_args()
    check_once("--seeds", options.seeds)
    changed = settings_given(options.set, parser)
    material = material_of(options)
    split_of = cache(lambda name, size: Split(material, name, size))
    records: list[Record] = []
    for label in options.variants:
        runs = [
            run_of_record(label, seed, options.head, options.out, material, **changed)
            for seed in options.seeds
        ]
        size = runs[0].config.model.image_size
        for name in ("validation", "test"):
            records += point_records(runs, split_of(name, size), name)
            shown = [r for r in records if r.seed is None and r.split == name][-11:]
            print(label, name, *(f"{r.detail} {r.value:.3f};" for r in shown), flush=True)
    records += without_model(runs[0], split_of("test", size))
    if sizes := sizes_changed(changed):
        records = [
            replace(each, setting=f"{each.setting}, {sizes}" if each.setting else sizes)
            for each in records
        ]
    print(f"wrote {write_evidence(options.record, records)}")


def answers(run: Run, part: Split) -> Iterator[Answer]:
    """All answers of one run on one split."""
    model = load_model(run)
    prompts = [positive_prompt(phrase) for phrase in protocol().phrases.values()]
    for kind in KINDS[run.config.model.head]:
        maps = attention_maps(model, part.pictures, prompts, kind=kind)
        yield part.answer("pointing_by_map", kind, part.hits(maps))
        if kind == "attention":
            place = np.broadcast_to(maps.mean(axis=0), maps.shape)
            yield part.answer("pointing_by_map", "place", part.hits(place))
            for rule in RULES:
                yield part.answer("pointing_by_rule", rule, part.hits(maps, rule))
                yield part.over_cases("pointing_by_rule", rule, part.hits(maps, rule))
            shares = maps / maps.sum(axis=(2, 3), keepdims=True)
            entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=(2, 3)).mean(axis=1)
            resampled = part.weights @ entropy / part.weights.sum(axis=1)
            patches = np.exp(resampled)
            yield "attention_patches", "mean", float(np.exp(entropy.mean())), patches, len(entropy)


def point_records(runs: Sequence[Run], part: Split, split: str) -> list[Record]:
    """Each run, then the means over the runs with images and seeds resampled."""
    found = [list(answers(run, part)) for run in runs]
    records = []
    for same in zip(*found, strict=True):
        metric, detail, _, _, n = same[0]
        for run, (_, _, value, drawn, _) in zip(runs, same, strict=True):
            interval = percentile_interval(value, drawn)
            records.append(_record([run], split, metric, detail, interval, n))
        value = float(np.mean([one[2] for one in same]))
        drawn = resampled_over_seeds(np.stack([one[3] for one in same]))
        interval = percentile_interval(value, drawn)
        records.append(_record(runs, split, metric, detail, interval, n, pooled=True))
    return records


def without_model(run: Run, part: Split) -> list[Record]:
    """What is known without a model: the place prior, the ceiling, chance by each rule."""
    classes, grid = list(protocol().phrases), run.config.model.grid
    prior = place_prior(part.training_boxes, classes, grid, part.size)
    blind = np.broadcast_to(prior, (len(part.ids), *prior.shape))
    hits = part.hits(blind)
    found = [
        part.answer("pointing_by_map", "prior", hits),
        part.answer("pointing_by_map", "ceiling", hits.assign(hit=hits["chance"] > 0)),
    ]
    for rule in RULES:
        chance = part.hits(blind, rule)
        chance = chance.assign(hit=chance["chance"])
        found.append(part.answer("pointing_chance_by_rule", rule, chance))
        found.append(part.over_cases("pointing_chance_by_rule", rule, chance))
    return [
        _record([run], "test", metric, detail, percentile_interval(value, drawn), n, model=False)
        for metric, detail, value, drawn, n in found
    ]


def _record(
    runs: Sequence[Run],
    split: str,
    metric: str,
    detail: str,
    interval: Interval,
    n: int,
    *,
    pooled: bool = False,
    model: bool = True,
) -> Record:
    info = replace(run_info(runs, DATASET, pooled=pooled), minutes=0.0)
    if not model:
        info = replace(info, variant="no model", setting=None, prompting=None, seed=None)
    unit = "patches" if metric == "attention_patches" else ""
    method = (OVER_SEEDS if pooled else BOOTSTRAP).format("images")
    return info.record(split, metric, detail, interval, n, unit=unit, method=method)


if __name__ == "__main__":
    main()
