"""One run: train a variant, score the held-out cases, keep what every number needs."""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from torch import Tensor

from offclip.data.batches import StudyBatches
from offclip.evaluation import (
    Protocol,
    commit_of_code,
    device_name,
    point,
    score_table,
    validation_metrics,
)
from offclip.files import atomic_path, write_json
from offclip.folders import Mark, claimed
from offclip.keys import code_version, config_hash
from offclip.models import PairModel, load_weights, save_tokenizer
from offclip.models.saved import TOKENIZER_FILES
from offclip.scores import tensor_float32
from offclip.study.material import Material, training_texts
from offclip.study.start import digest, new_model, trained_model
from offclip.study.variants import VARIANTS, RunConfig
from offclip.text import FilterPolicy
from offclip.training import FILES, RUN, Augmentation, TrainResult, augment, train
from offclip.training.distributed import process_state
from offclip.training.watch import Watch

SPLITS = ("validation", "test")
_FILES = (
    *FILES,
    *(f"scores_{split}.parquet" for split in SPLITS),
    *TOKENIZER_FILES,
    "pointing.parquet",
    "run.json",
)


@dataclass(frozen=True)
class Run:
    """A finished run on disk.

    ``folder`` holds weights, log, ``scores_<split>.parquet`` (all cases of the split),
    ``pointing.parquet`` and ``run.json``, which is written last.
    """

    folder: Path
    config: RunConfig
    about: dict[str, object]

    def scores(self, split: str) -> pd.DataFrame:
        """Scores by prompt of every case of the split, drawable or not."""
        return pd.read_parquet(self.folder / f"scores_{split}.parquet")

    def pointing(self) -> pd.DataFrame | None:
        """Hits by image and class on the test split, or None for a head without attention."""
        path = self.folder / "pointing.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def log(self) -> pd.DataFrame:
        """Loss terms and validation metrics by step."""
        return pd.read_json(self.folder / "log.jsonl", lines=True)


# Settings younger than the runs of record: they name a run only where they change it.
LATER = {"studies_kept", "normals_kept", "augment", "init", "tokenizer", "accumulate", "optimizer",
         "schedule", "patience", "precision", "ema", "pairs_at_once", "save_every",
         "decayed", "scale_bound"}  # fmt: skip


def run_hash(config: RunConfig, material: Material) -> str:
    """Names what a run was set up with: configuration, records and rendering.

    First weights and tokenizer count by what is in their files, not by where these lie.
    """
    contents = {n: digest(path) for n in ("init", "tokenizer") if (path := getattr(config, n))}
    return config_hash({**_settings(config), **contents, "data": material.fingerprint})


def _settings(config: Any) -> dict[str, Any]:
    """Settings by name, without those of :data:`LATER` that are at their default."""
    settings = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            settings[field.name] = _settings(value)
        elif field.name not in LATER or value != field.default:
            settings[field.name] = value
    return settings


def run_version(material: Material) -> str:
    """Names what else decides the outcome: the code, and the prompts that are scored."""
    return config_hash({"code": code_version(__name__), "prompts": repr(material.asked)})


def run_folder(out: str | Path, config: RunConfig, material: Material) -> Path:
    """The folder of a run: its names, a hash of everything else, and the version of the code."""
    name = f"{config.variant}-{config.model.head}-{config.train.seed}"
    return Path(out) / f"{name}-{run_hash(config, material)}-{run_version(material)}"


def _mark(config: RunConfig, material: Material) -> Mark:
    settings = {
        "variant": config.name,
        "seed": config.train.seed,
        "config": run_hash(config, material),
        "version": run_version(material),
    }
    return Mark(RUN, material.dataset, settings, _FILES)


def of_other_code(folder: Path) -> list[str]:
    """Finished runs of the same configuration whose code or prompts were others."""
    same = folder.name.rpartition("-")[0]
    return sorted(
        path.parent.name
        for path in folder.parent.glob(f"{same}-*/run.json")
        if path.parent != folder
    )


def finished_run(out: str | Path, config: RunConfig, material: Material) -> Run | None:
    """The run if it is finished by the code as it is now, else None."""
    folder = run_folder(out, config, material)
    if not (folder / "run.json").exists():
        return None
    return Run(folder, config, json.loads((folder / "run.json").read_text(encoding="utf-8")))


def run(
    config: RunConfig,
    material: Material,
    out: str | Path,
    *,
    report: Callable[[str], None] | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train and score; a finished run is returned, an interrupted one goes on.

    A run that other code finished stays where it is, is reported, and is not returned. With several
    processes all of them train, and the first one scores.

    Raises:
        ValueError: the folder of the run holds something else, or another process is at work in it.
    """
    done = finished_run(out, config, material)
    if done:
        return done
    started = time.perf_counter()
    folder, asked = run_folder(out, config, material), material.asked
    processes, mark = process_state(), _mark(config, material)
    with ExitStack() as held:
        if processes.is_main_process:
            held.enter_context(claimed(folder, mark))
        if report and processes.is_main_process and (others := of_other_code(folder)):
            report(f"{others[-1]} was finished by other code or for other prompts; training again")
        trained = _trained(config, material, folder, asked, report, watch)
        if processes.is_main_process:
            _score(config, material, folder, asked, trained, started)
        processes.wait_for_everyone()
    done = finished_run(out, config, material)
    if done is None:
        raise FileNotFoundError(
            f"{folder / 'run.json'}: the first process wrote it, process "
            f"{processes.process_index} does not see it; give all of them one folder"
        )
    return done


def _score(
    config: RunConfig,
    material: Material,
    folder: Path,
    asked: Protocol,
    trained: "_Trained",
    started: float,
) -> None:
    """Score the held-out cases, play the pointing game, and close the run."""
    model, result, texts = trained
    for split in SPLITS:
        cases = material.cases(split, drawable=False)
        table = _table(model, material, cases, asked)
        with atomic_path(folder / f"scores_{split}.parquet") as temporary:
            table.to_parquet(temporary)
    hits = _point(model, material, asked) if config.model.head == "cross_attention" else None
    if hits is not None and len(hits):
        with atomic_path(folder / "pointing.parquet") as temporary:
            hits.to_parquet(temporary)
    scoring = time.perf_counter() - started
    about = {
        "config": run_hash(config, material),
        "commit": commit_of_code(),
        "device": device_name(next(model.parameters()).device),
        "tensor_float32": tensor_float32(),
        "minutes": max(result.seconds, scoring) / 60,
        "best": result.best,
        "texts": texts,
        "unknown_words": {p: words for p in asked.prompts if (words := model.unknown_words(p))},
    }
    write_json(folder / "run.json", about)


_Trained: TypeAlias = tuple[PairModel, TrainResult, dict[str, int]]


def _table(
    model: PairModel, material: Material, cases: pd.DataFrame, asked: Protocol
) -> pd.DataFrame:
    """Scores by prompt of these cases."""
    pictures = material.pictures(cases, model.picture_size).draw(0)
    return score_table(model, pictures, list(cases["study_id"]), asked.prompts)


def _trained(
    config: RunConfig,
    material: Material,
    folder: Path,
    asked: Protocol,
    report: Callable[[str], None] | None,
    watch: Watch | None,
) -> _Trained:
    cases = material.cases("train")
    texts = training_texts(
        cases,
        prompting=config.prompting,
        filtered=VARIANTS[config.variant].filtered,
        policy=FilterPolicy(config.threshold),
        filter_errors=config.filter_errors,
        seed=config.train.seed,
    )
    column = "sentences" if config.prompting == "raw" else "prompts"
    model = new_model(config, [text for texts in cases[column] for text in texts])
    chosen = chosen_studies(cases["is_normal"].to_numpy(dtype=bool), config)
    batches = StudyBatches(
        material.pictures(cases, model.picture_size),
        [text if take else [] for text, take in zip(texts.texts, chosen, strict=True)],
        cases["is_normal"].to_numpy(dtype=bool),
        model.tokenize,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        draws=config.draws,
    )
    held_out = material.cases("validation")

    def validate(model: PairModel) -> dict[str, float]:
        return validation_metrics(_table(model, material, held_out, asked), held_out, asked)

    with process_state().main_process_first():  # render once, not once in every process
        for number in range(draws_needed(config, len(batches))):
            batches.images.draw(1 + number)
    result = train(
        model,
        batches,
        validate,
        config.train,
        folder,
        prepare=partial(_prepared, model, config),
        report=report,
        watch=watch,
    )
    if process_state().is_main_process:
        save_tokenizer(folder, model)
    lengths = model.token_counts([text for each in texts.texts for text in each])
    counts = {
        "kept": texts.kept,
        "cut": sum(length > model.text_length for length in lengths),  # of those that are kept
        "dropped": texts.dropped,
        "studies": len(batches.rows),
        "studies_without_text": int(chosen.sum()) - len(batches.rows),
        "studies_left_out": int((~chosen).sum()),
    }
    return model, result, counts


def _prepared(model: PairModel, config: RunConfig, pictures: Tensor) -> Tensor:
    """What training sees of pictures."""
    if config.augment == "published":
        pictures = augment(pictures, Augmentation(), margin=model.margin)
    return model.prepare(pictures)


def draws_needed(config: RunConfig, batches: int) -> int:
    """Draws that a run takes of each training study, with so many batches an epoch."""
    return min(config.draws, math.ceil(config.train.steps * config.train.accumulate / batches))


def chosen_studies(is_normal: np.ndarray, config: RunConfig) -> np.ndarray:
    """Which training studies take part; a smaller share is a part of every larger one."""
    place = np.random.default_rng(config.train.seed).random(len(is_normal))
    share = np.where(is_normal, config.studies_kept * config.normals_kept, config.studies_kept)
    return place < share


def load_model(run: Run) -> PairModel:
    """The best weights of a run, with its tokenizer, in eval mode."""
    model = trained_model(run.config, run.folder)
    load_weights(run.folder / "best.safetensors", model)
    return model.eval()


def _point(model: PairModel, material: Material, asked: Protocol) -> pd.DataFrame:
    """The pointing game on the abnormal drawable test cases."""
    cases = material.cases("test")
    cases = cases[~cases["is_normal"]].reset_index(drop=True)
    size = model.picture_size
    images, boxes = material.pictures(cases, size).draw(0), material.boxes(cases, size)
    return point(model, images, list(cases["study_id"]), asked.phrases, boxes)
