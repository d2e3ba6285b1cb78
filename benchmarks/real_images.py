"""Does the phantom's order of losses hold on real radiographs? NIH images with borrowed text.

    python -m benchmarks.real_images --images DIR --jobs 2 --record book/results/real_images.json

``DIR`` is a folder that ``offclip.data.nih.read_nih`` reads. Each variant is cross-fitted over
patients, from scratch and from the weights of its phantom run (which has to be there, see
benchmarks/study.yaml); beside them, the phantom run as it is, and the view alone (AP or PA), which
tells the sick from the well in this set. Intervals resample patients. Measured: normality by NIH's
labels (each prompt, and minus the mean of the findings), within views, by RSNA's readers; classes
with ten images; pointing into the boxes.
"""

import argparse
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from offclip.data.curate import curate
from offclip.data.manifests import load_manifest
from offclip.data.nih import DATASET, captioned, read_nih
from offclip.data.pictures import Pictures, read_picture
from offclip.evaluation import (
    Protocol,
    Record,
    bootstrap_auc,
    bootstrap_pointing,
    commit_of_code,
    config_hash,
    device_name,
    measure,
    percentile_interval,
    questions,
    write_evidence,
)
from offclip.evaluation.metrics import auc, patient_weights
from offclip.study import Material, Run, finished_run, load_model, run_config
from offclip.study.real import CrossFitted, RealSet, cross_fit, scored
from offclip.study.run import run_folder

VARIANTS = ("infonce", "infonce+filter", "offclip")
BOXED = {"Lung Opacity": "opacity", "Pneumonia": "pneumonia"}
RESAMPLES = 1000
METHOD = f"bootstrap over patients, {RESAMPLES} resamples"
FOLDS = 5
SETTINGS = {"steps": 200, "validate_every": 50}
Answers = dict[tuple[str, str], tuple[float, np.ndarray, int]]


def main() -> None:
    """Fit what is missing, measure and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of the radiographs")
    parser.add_argument("--data", default="runs/data", help="folder of the records")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="cross-fits at a time")
    parser.add_argument("--record", required=True, help="JSON file for the evidence")
    options = parser.parse_args()
    settings = yaml.safe_load(Path(__file__).with_name("study.yaml").read_text(encoding="utf-8"))
    material = Material(curate(options.data).records, options.out / "draws")
    real, reading = real_set(options.images, material, seed=options.seed)
    starts: dict[str, Run] = {}
    for variant in VARIANTS:
        config = run_config(variant, head="cross_attention", seed=options.seed, **settings)
        found = finished_run(options.out, config, material)
        if found is None:
            parser.error(f"no finished run in {run_folder(options.out, config, material)}")
        starts[variant] = found
    jobs = [(variant, pretrained) for variant in VARIANTS for pretrained in (False, True)]
    fit = partial(_fit, real, starts, options.out / "real", options.seed)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        fitted = list(pool.map(fit, jobs))
    records = _view(real, options.seed)
    for (variant, pretrained), (found, minutes) in zip(jobs, fitted, strict=True):
        name = f"{variant}, from phantoms" if pretrained else variant
        records += _records(name, real, found, reading, options.seed, minutes)
    for variant, start in starts.items():
        found = CrossFitted(*scored(real, *load_model(start)))
        records += _records(f"{variant}, phantoms alone", real, found, reading, options.seed, 0.0)
    for record in records:
        if record.detail in ("mean", "all"):
            print(f"{record.variant:32} {record.metric:26} {record.value:.3f} {record.interval}")
    print(f"wrote {write_evidence(options.record, records)}")


def real_set(folder: Path, material: Material, *, seed: int) -> tuple[RealSet, pd.Series]:
    """The images with text of training reports, and RSNA's reading."""
    records, reading = read_nih(folder)
    reports = material.records[material.records["split"] == "train"]
    records = captioned(records, reports, seed=seed)
    size = run_config("offclip", head="cross_attention", seed=seed).model.image_size
    pixels = np.stack([read_picture(folder / name, size) for name in records["image"]])
    manifest = load_manifest(DATASET)
    asked = Protocol(manifest.prompts, manifest.normal_prompts)
    return RealSet(records, Pictures(list(records["study_id"]), pixels), asked, BOXED), reading


def _fit(
    real: RealSet, starts: Mapping[str, Run], out: Path, seed: int, job: tuple[str, bool]
) -> tuple[CrossFitted, float]:
    torch.set_num_threads(1)
    variant, pretrained = job
    config = run_config(variant, head="cross_attention", seed=seed, **SETTINGS)
    start = starts[variant]
    key = config_hash({"real": str(config), "start": start.about["config"] if pretrained else ""})
    began = time.perf_counter()
    found = cross_fit(
        real,
        config,
        load_model(start)[1],
        out / f"{variant}-{'phantoms' if pretrained else 'scratch'}-{seed}-{key}",
        folds=FOLDS,
        start=start if pretrained else None,
    )
    return found, (time.perf_counter() - began) / 60


def answers(real: RealSet, found: CrossFitted, reading: pd.Series) -> Answers:
    """Every answer with its resamples and its number of images."""
    cases = real.records
    weights = patient_weights(cases["patient_id"], resamples=RESAMPLES, seed=0)
    asked = questions(found.scores, cases, real.asked)
    result = {key: (*answer, len(cases)) for key, answer in measure(asked, weights).items()}
    normal = cases["is_normal"].to_numpy(dtype=bool)
    prompts = found.scores[list(real.asked.normal_prompts)].to_numpy()
    for view in ("PA", "AP"):
        rows = (cases["view"] == view).to_numpy()
        result["normal_auc_in_view", view] = _mean(normal, prompts, weights, rows)
    rows = (reading.loc[cases["study_id"]] != "").to_numpy()
    rsna = (reading.loc[cases["study_id"]] == "Normal").to_numpy()
    result["normal_auc_rsna", "mean"] = _mean(rsna, prompts, weights, rows)
    pointed = bootstrap_pointing(found.hits, list(cases["study_id"]), weights, least=10)
    for label, answer in pointed.items():
        count = len(found.hits) if label == "mean" else int((found.hits["label"] == label).sum())
        result["pointing", label] = (*answer, count)
    return result


def _mean(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray, rows: np.ndarray
) -> tuple[float, np.ndarray, int]:
    """Mean AUC of the columns of ``scores`` on some of the images."""
    positive, scores, weights = positive[rows], scores[rows], weights[:, rows]
    each = [(auc(positive, s), bootstrap_auc(positive, s, weights)) for s in scores.T]
    values, resampled = zip(*each, strict=True)
    return float(np.mean(values)), np.mean(resampled, axis=0), int(rows.sum())


def _records(
    name: str, real: RealSet, found: CrossFitted, reading: pd.Series, seed: int, minutes: float
) -> list[Record]:
    records = []
    for (metric, detail), (value, resampled, n) in answers(real, found, reading).items():
        interval = percentile_interval(value, resampled)
        records.append(
            _record(name, metric, detail, value, seed, n, (interval.low, interval.high), minutes)
        )
    chance = found.hits.groupby("label")["chance"].mean()
    return records + [
        _record(name, "pointing_chance", str(label), float(value), seed, len(found.hits), None, 0.0)
        for label, value in chance.items()
    ]


def _view(real: RealSet, seed: int) -> list[Record]:
    """How well the view alone tells normal from abnormal: "AP" as a score."""
    cases = real.records
    normal = cases["is_normal"].to_numpy(dtype=bool)
    scores = (cases["view"] == "AP").to_numpy(dtype=float)
    weights = patient_weights(cases["patient_id"], resamples=RESAMPLES, seed=0)
    interval = percentile_interval(auc(normal, scores), bootstrap_auc(normal, scores, weights))
    bounds = (interval.low, interval.high)
    return [
        _record("view alone", "normal_auc", "mean", interval.value, seed, len(cases), bounds, 0.0)
    ]


def _record(name, metric, detail, value, seed, n, interval, minutes):  # type: ignore[no-untyped-def]
    return Record(
        dataset=DATASET, split="cross-fitted", variant=name, prompting="prompted",
        head="cross_attention", metric=metric, detail=detail, seed=seed, value=value, unit="",
        interval=interval, interval_method=METHOD if interval else None, n=n,
        config=config_hash(SETTINGS), commit=commit_of_code(), device=device_name(),
        minutes=minutes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
