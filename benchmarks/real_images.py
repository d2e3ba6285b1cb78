"""Does the phantom's order of losses hold on real radiographs? NIH images with borrowed text.

    python -m benchmarks.real_images --images DIR --jobs 2 --record book/results/real_images.csv

``DIR`` is a folder that ``offclip.data.nih.read_nih`` reads. Each variant is cross-fitted over
patients, from scratch and from the weights of its phantom run (which has to be there, see
benchmarks/study.yaml). Beside them the phantom run as it is, and what needs no look at the anatomy
(``offclip.study.shortcuts``). With ``--equalise`` every picture gets the same histogram first.
A seed draws weights, folds and captions. Intervals resample patients, those over seeds the seeds
as well. Measured: normality by NIH's labels (each prompt, and minus the mean of the findings),
within views, by RSNA's readers; classes with ten images; pointing into the boxes.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks._common import material_of, run_of_record, study_parser
from offclip.data.batches import AugmentedImages
from offclip.data.manifests import load_manifest
from offclip.data.nih import DATASET, captioned, read_nih
from offclip.evaluation import (
    Interval,
    Protocol,
    Record,
    RunInfo,
    bootstrap_weights,
    clusters_of,
    config_hash,
    device_name,
    measure,
    measure_pointing,
    percentile_interval,
    questions,
    resampled_over_seeds,
    write_evidence,
)
from offclip.evaluation.protocol import Question
from offclip.imaging import read_radiograph
from offclip.imaging.resize import padded_square
from offclip.models import load_tokenizer
from offclip.study import Material, Run, load_model, run_config
from offclip.study.real import CrossFitted, RealSet, cross_fit, scored
from offclip.study.shortcuts import normality_shortcuts, pointing_shortcut
from offclip.training.distributed import process_state

VARIANTS = ("infonce", "infonce+filter", "offclip")
BOXED = {"Lung Opacity": "opacity", "Pneumonia": "pneumonia"}
RESAMPLES = 1000
METHOD = f"bootstrap over patients, {RESAMPLES} resamples"
OVER_SEEDS = f"{METHOD}; Student's t over seeds"
FOLDS = 5
SETTINGS = {"steps": 200, "validate_every": 50}
Answers = dict[tuple[str, str], tuple[float, np.ndarray, int]]


@dataclass(frozen=True)
class Answered:
    """Answers of one seed with their resamples, the pointing game and the minutes it took."""

    seed: int
    answers: Answers
    hits: pd.DataFrame
    minutes: float


def main() -> None:
    """Fit what is missing, measure and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of the radiographs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--equalise", action="store_true", help="flat histograms of grey values")
    options = parser.parse_args()
    material = material_of(options)
    starts = {
        (variant, seed): run_of_record(variant, seed, "cross_attention", options.out, material)
        for variant in VARIANTS
        for seed in options.seeds
    }
    reals = {
        seed: real_set(options.images, material, seed=seed, equalise=options.equalise)
        for seed in options.seeds
    }
    jobs = [
        (variant, pretrained, seed)
        for seed in options.seeds
        for variant in VARIANTS
        for pretrained in (False, True)
    ]
    out = options.out / ("real_equalised" if options.equalise else "real")
    fit = partial(_fit, {k: real for k, (real, _) in reals.items()}, starts, out)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        fitted = dict(zip(jobs, pool.map(fit, jobs), strict=True))
    found: dict[str, list[Answered]] = {}
    for variant in VARIANTS:
        for seed, (real, reading) in reals.items():
            alone = CrossFitted(*scored(real, load_model(starts[variant, seed])))
            outcomes = {
                variant: fitted[variant, False, seed],
                f"{variant}, from phantoms": fitted[variant, True, seed],
                f"{variant}, phantoms alone": (alone, 0.0),
            }
            for name, (outcome, minutes) in outcomes.items():
                answered = Answered(seed, answers(real, outcome, reading), outcome.hits, minutes)
                found.setdefault(name, []).append(answered)
    first, reading = reals[options.seeds[0]]
    records = _without_anatomy(first, reading)
    for name, ours in found.items():
        records += _records(name, ours)
    for name, other in compared():
        records += _differences(name, other, found)
    if options.equalise:
        records = [
            replace(each, setting=f"{each.setting}, equalised" if each.setting else "equalised")
            for each in records
        ]
    for record in records:
        if record.seed is None and record.detail.endswith(("mean", "all")):
            print(f"{record.variant}, {record.setting}: {record.metric:36} {record.detail:40} "
                  f"{record.value:.3f} {record.interval}")  # fmt: skip
    print(f"wrote {write_evidence(options.record, records)}")


def compared() -> list[tuple[str, str]]:
    """Which is measured against which: the losses with the same start, each start with none."""
    pairs = [(later, earlier) for earlier, later in combinations(VARIANTS, 2)]
    started = [(f"{a}, from phantoms", f"{b}, from phantoms") for a, b in pairs]
    return pairs + started + [(f"{name}, from phantoms", name) for name in VARIANTS]


def real_set(
    folder: Path, material: Material, *, seed: int, equalise: bool = False
) -> tuple[RealSet, pd.Series]:
    """The images with text of training reports, and RSNA's reading."""
    records, reading = read_nih(folder)
    reports = material.records[material.records["split"] == "train"]
    records = captioned(records, reports, seed=seed)
    size = run_config("offclip", head="cross_attention", seed=seed).model.image_size
    pixels = np.stack(
        [
            padded_square(read_radiograph(folder / name), size, equalise=equalise)
            for name in records["image"]
        ]
    )
    manifest = load_manifest(DATASET)
    asked = Protocol(manifest.prompts, manifest.normal_prompts)
    return RealSet(
        records, AugmentedImages(list(records["study_id"]), pixels), asked, BOXED
    ), reading


def _fit(
    reals: Mapping[int, RealSet],
    starts: Mapping[tuple[str, int], Run],
    out: Path,
    job: tuple[str, bool, int],
) -> tuple[CrossFitted, float]:
    torch.set_num_threads(1)
    variant, pretrained, seed = job
    config = run_config(variant, head="cross_attention", seed=seed, **SETTINGS)
    start = starts[variant, seed]
    began = time.perf_counter()
    found = cross_fit(
        reals[seed],
        config,
        load_tokenizer(start.folder),
        out,
        folds=FOLDS,
        start=start if pretrained else None,
    )
    return found, (time.perf_counter() - began) / 60


def answers(real: RealSet, fitted: CrossFitted, reading: pd.Series) -> Answers:
    """Every answer with its resamples and its number of images."""
    cases, weights = real.records, _weights(real)
    measured = measure(questions(fitted.scores, cases, real.asked), weights)
    result = {key: (*answer, len(cases)) for key, answer in measured.items()}
    by_prompt = normality(real, fitted.scores[list(real.asked.normal_prompts)], reading)
    result |= {key: answer for key, answer in by_prompt.items() if key not in result}
    return result | pointing(real, fitted.hits)


def _weights(real: RealSet) -> np.ndarray:
    return bootstrap_weights(clusters_of(real.records), resamples=RESAMPLES, seed=0)


def pointing(real: RealSet, hits: pd.DataFrame) -> Answers:
    """Hit rates of the classes with ten boxes or more, and their mean."""
    found = measure_pointing(hits, list(real.records["study_id"]), _weights(real), least=10)
    counts = found.counts | {"mean": len(hits)}
    return {("pointing", label): (*rate, counts[label]) for label, rate in found.rates.items()}


def normality(real: RealSet, scores: pd.DataFrame, reading: pd.Series) -> Answers:
    """Mean AUC of the columns: by NIH's labels, within each view, and by RSNA's readers."""
    cases, weights = real.records, _weights(real)
    normal, read = cases["is_normal"].to_numpy(dtype=bool), reading.loc[cases["study_id"]]
    everyone = np.ones(len(cases), dtype=bool)
    groups = {("normal_auc", "mean"): (normal, everyone)}
    for view in ("PA", "AP"):
        groups["normal_auc_in_view", view] = (normal, (cases["view"] == view).to_numpy())
    groups["normal_auc_rsna", "mean"] = (
        (read == "Normal").to_numpy(),
        (read != "").to_numpy(),
    )
    result: Answers = {}
    for key, (positive, among) in groups.items():
        asked = [
            Question(key[0], name, positive, score.to_numpy(), among)
            for name, score in scores.items()
        ]
        result[key] = (*measure(asked, weights)[key[0], "mean"], int(among.sum()))
    return result


def _records(name: str, ours: list[Answered]) -> list[Record]:
    """Each seed, then the means over the seeds, and the chance level of pointing."""
    records = []
    for one in ours:
        for key, (value, resampled, n) in one.answers.items():
            interval = percentile_interval(value, resampled)
            records.append(_record(name, key, interval, one.seed, n, METHOD, one.minutes))
    for key, (_, _, n) in ours[0].answers.items():
        value, resampled = _over(ours, key)
        interval = percentile_interval(value, resampled_over_seeds(resampled).clip(0, 1))
        records.append(_record(name, key, interval, None, n, OVER_SEEDS))
    hits = ours[0].hits  # boxes are the same for all
    chance = hits.groupby("label")["chance"].mean()
    return records + [
        _record(name, ("pointing_chance", str(label)), float(value), None, len(hits))
        for label, value in chance.items()
    ]


def _differences(name: str, other: str, found: Mapping[str, list[Answered]]) -> list[Record]:
    """Paired by patients and by seeds: the same folds, captions and resamples."""
    records = []
    for metric, detail in found[name][0].answers:
        value, resampled = _over(found[name], (metric, detail))
        theirs, resampled_theirs = _over(found[other], (metric, detail))
        drawn = resampled_over_seeds(resampled - resampled_theirs)
        key = (f"{metric}_difference", f"{name} minus {other}: {detail}")
        interval = percentile_interval(value - theirs, drawn)
        n = found[name][0].answers[metric, detail][2]
        records.append(_record(name, key, interval, None, n, OVER_SEEDS))
    return records


def _over(ours: list[Answered], key: tuple[str, str]) -> tuple[float, np.ndarray]:
    """Mean over the seeds, and every seed's resamples."""
    values, resampled, _ = zip(*[one.answers[key] for one in ours], strict=True)
    return float(np.mean(values)), np.stack(resampled)


def _without_anatomy(real: RealSet, reading: pd.Series) -> list[Record]:
    """Shortcuts, measured as the models are."""
    records = []
    for name, score in normality_shortcuts(real, folds=FOLDS).items():
        found = normality(real, pd.DataFrame({"score": score}), reading)
        for key, (value, resampled, n) in found.items():
            interval = percentile_interval(value, resampled)
            records.append(_record(name, key, interval, None, n, METHOD))
    grid = run_config(VARIANTS[0], head="cross_attention", seed=0).model.grid
    hits = pointing_shortcut(real, grid, folds=FOLDS)
    for key, (value, resampled, n) in pointing(real, hits).items():
        interval = percentile_interval(value, resampled)
        records.append(_record("place alone", key, interval, None, n, METHOD))
    return records


def _record(
    name: str,
    key: tuple[str, str],
    value: Interval | float,
    seed: int | None,
    n: int,
    method: str | None = None,
    minutes: float = 0.0,
) -> Record:
    variant, _, setting = name.partition(", ")
    info = RunInfo(
        dataset=DATASET,
        variant=variant,
        setting=setting or None,
        prompting="prompted",
        head="cross_attention",
        seed=seed,
        config=config_hash(SETTINGS),
        device=device_name(process_state().device),
        minutes=minutes,
    )
    return info.record("cross-fitted", *key, value, n, method=method)


if __name__ == "__main__":
    main()
