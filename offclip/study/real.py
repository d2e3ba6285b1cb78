"""Real radiographs: cross-fitting over patients, from scratch or from a phantom run.

Small sets are too small to be split once. Each image is scored by a model that has seen neither it
nor another image of its patient, and the scores of all folds are measured together.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold
from transformers import PreTrainedTokenizerFast

from offclip.data.batches import AugmentedImages, StudyBatches
from offclip.evaluation import (
    Protocol,
    point,
    score_table,
    validation_metrics,
)
from offclip.files import atomic_path
from offclip.folders import Mark, claim, claimed
from offclip.imaging.boxes import boxes_in_square
from offclip.keys import code_version, config_hash
from offclip.models import PairModel
from offclip.study.material import training_texts
from offclip.study.run import Run, load_model
from offclip.study.start import build_model, digest
from offclip.study.variants import VARIANTS, RunConfig
from offclip.text import FilterPolicy
from offclip.training import FILES, RUN, train


@dataclass(frozen=True)
class RealSet:
    """Real images with borrowed text, and what is asked of them.

    Attributes:
        records: one row an image, with text; see :mod:`offclip.data.nih`.
        pictures: in the order of the records.
        asked: the protocol.
        boxed: label of a box to the words after "there is".
    """

    records: pd.DataFrame
    pictures: AugmentedImages
    asked: Protocol
    boxed: dict[str, str]


@dataclass(frozen=True)
class CrossFitted:
    """Scores by prompt of every image, each by the model of its fold, and the pointing game."""

    scores: pd.DataFrame
    hits: pd.DataFrame


def folds_of(records: pd.DataFrame, count: int, *, seed: int) -> np.ndarray:
    """Fold of each image: patients stay together, normal ones are spread evenly.

    Raises:
        ValueError: fewer than three folds (train, validation and test), or too few patients.
    """
    patients = records["patient_id"].nunique()
    if not 3 <= count <= patients:
        raise ValueError(f"folds: expected 3 to {patients}, the number of patients; got {count}")
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    folds = np.zeros(len(records), dtype=int)
    pairs = splitter.split(records, records["is_normal"], groups=records["patient_id"])
    for fold, (_, test) in enumerate(pairs):
        folds[test] = fold
    return folds


def cross_fit(
    real: RealSet,
    config: RunConfig,
    tokenizer: PreTrainedTokenizerFast,
    folder: str | Path,
    *,
    folds: int = 5,
    start: Run | None = None,
    report: Callable[[str], None] | None = None,
) -> CrossFitted:
    """Train a model for each fold and score the fold with it; finished folds are read, not redone.

    They are kept by all that decides them: images, records, protocol, tokenizer, first weights,
    configuration, number of folds and code (:func:`cross_fit_key`).

    Fold k is tested, fold k + 1 chooses the checkpoint, the rest is learned from. The scales of two
    models differ, so each prompt's scores have mean 0 and deviation 1 within a fold.

    Args:
        real: images and text.
        config: of the runs; its seed also draws the folds.
        tokenizer: the same for all variants; that of ``start`` if given.
        folder: for the folds' runs, in a folder of their own below it.
        folds: at least 3.
        start: a phantom run whose weights are the first ones; default: none.
        report: gets one line a validation.
    """
    fold = folds_of(real.records, folds, seed=config.train.seed)
    key = cross_fit_key(real, config, tokenizer, folds=folds, start=start)
    whole = Path(folder) / f"{config.variant}-{config.train.seed}-{key}"
    settings = {"variant": config.name, "seed": config.train.seed, "folds": folds, "key": key}
    parts = []
    with claimed(whole, Mark("cross-fitted folds", settings=settings)):
        for k in range(folds):
            here = whole / f"fold_{k}"
            claim(here, Mark(RUN, contents=(*FILES, "scores.parquet", "hits.parquet")))
            if not (here / "hits.parquet").exists():
                rows = [np.flatnonzero(fold == k), np.flatnonzero(fold == (k + 1) % folds)]
                rest = np.setdiff1d(np.arange(len(fold)), np.concatenate(rows))
                model = _fit(real, rest, rows[1], config, tokenizer, here, start, report)
                scores, hits = scored(_part(real, rows[0]), model)
                for name, table in (("scores", scores), ("hits", hits)):
                    with atomic_path(here / f"{name}.parquet") as temporary:
                        table.to_parquet(temporary)
            scores, hits = (pd.read_parquet(here / f"{n}.parquet") for n in ("scores", "hits"))
            parts.append(((scores - scores.mean()) / scores.std(), hits))
    scores, hits = (pd.concat(each) for each in zip(*parts, strict=True))
    return CrossFitted(scores.loc[real.records["study_id"]], hits.reset_index(drop=True))


def cross_fit_key(
    real: RealSet,
    config: RunConfig,
    tokenizer: PreTrainedTokenizerFast,
    *,
    folds: int,
    start: Run | None = None,
) -> str:
    """Names everything that decides the outcome of :func:`cross_fit`."""
    pictures = real.pictures.images
    return config_hash({
        "config": asdict(config),
        "folds": folds,
        "records": real.records.to_json(orient="records"),
        "pictures": [pictures.shape, hashlib.sha256(pictures.tobytes()).hexdigest()],
        "protocol": [asdict(real.asked), real.boxed],
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "start": digest(str(start.folder / "best.safetensors")) if start else "",
        "code": code_version(__name__),
    })  # fmt: skip


def _fit(
    real: RealSet,
    rows: np.ndarray,
    held_out: np.ndarray,
    config: RunConfig,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    start: Run | None,
    report: Callable[[str], None] | None,
) -> PairModel:
    cases, validation = _part(real, rows), _part(real, held_out)
    texts = training_texts(
        cases.records,
        prompting=config.prompting,
        filtered=VARIANTS[config.variant].filtered,
        policy=FilterPolicy(config.threshold),
        seed=config.train.seed,
    )
    torch.manual_seed(config.train.seed)
    model = build_model(config.model, tokenizer)
    if start is not None:
        model.load_state_dict(load_model(start).state_dict())
    batches = StudyBatches(
        cases.pictures,
        texts.texts,
        cases.records["is_normal"].to_numpy(dtype=bool),
        model.tokenize,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        draws=config.draws,
    )

    def validate(model: PairModel) -> dict[str, float]:
        table = _table(validation, model)
        asked = replace(real.asked, min_positives=1)
        return validation_metrics(table, validation.records, asked)

    train(model, batches, validate, config.train, folder, prepare=model.prepare, report=report)
    return model


def scored(real: RealSet, model: PairModel) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores by prompt of every image, and the pointing game in the boxes, by one model."""
    boxes = boxes_in_square(real.records, model.picture_size)
    hits = point(model, real.pictures.draw(0), real.pictures.ids, real.boxed, boxes)
    return _table(real, model), hits


def _table(part: RealSet, model: PairModel) -> pd.DataFrame:
    return score_table(model, part.pictures.draw(0), part.pictures.ids, part.asked.prompts)


def _part(real: RealSet, rows: Sequence[int] | np.ndarray) -> RealSet:
    pictures = AugmentedImages([real.pictures.ids[i] for i in rows], real.pictures.images[rows])
    return replace(real, records=real.records.iloc[rows].reset_index(drop=True), pictures=pictures)
