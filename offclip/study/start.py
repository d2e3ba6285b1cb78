"""The model that a run starts with, and the one that it ends with."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from offclip.models import (
    ImageTextModel,
    ModelConfig,
    PairModel,
    PublishedCARZero,
    PublishedConfig,
    load,
    load_tokenizer,
    read_tokenizer,
    train_tokenizer,
)
from offclip.study.variants import RunConfig


def new_model(config: RunConfig, texts: Sequence[str]) -> PairModel:
    """New weights by the seed, or those of ``config.init``.

    Args:
        config: of the run.
        texts: training texts before any filter; their words are the vocabulary if the
            configuration names no tokenizer: one vocabulary for all variants.

    Raises:
        FileNotFoundError: ``init`` or ``tokenizer`` is not there.
        ValueError: the weights are of other sizes than ``config.model``, or have no tokenizer.
    """
    if config.init:
        return _initial(config)
    if config.tokenizer:
        tokenizer = read_tokenizer(config.tokenizer)
    else:
        tokenizer = train_tokenizer(texts, length=config.model.text_length)
    torch.manual_seed(config.train.seed)
    return build_model(config.model, tokenizer)


def trained_model(config: RunConfig, folder: Path) -> PairModel:
    """The model of a finished run in ``folder``, before its weights are loaded."""
    sizes = config.model
    if isinstance(sizes, PublishedConfig):
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = replace(sizes, vocabulary=found["model"]["vocabulary"])
    return build_model(sizes, load_tokenizer(folder))


def build_model(
    sizes: ModelConfig | PublishedConfig, tokenizer: PreTrainedTokenizerBase
) -> PairModel:
    """A model of these sizes with new weights, which reads texts with this tokenizer."""
    if isinstance(sizes, ModelConfig):
        return ImageTextModel.with_tokenizer(sizes, tokenizer)
    return PublishedCARZero(
        replace(sizes, vocabulary=sizes.vocabulary or len(tokenizer)), tokenizer
    )


def _initial(config: RunConfig) -> PairModel:
    path = Path(config.init)
    model = load(path, tokenizer=config.tokenizer or None)
    asked, found = asdict(config.model), asdict(model.config)
    if isinstance(config.model, PublishedConfig):
        asked["vocabulary"] = asked["vocabulary"] or found.get("vocabulary")
    other = [
        f"{name} is {found.get(name)!r} there, {asked.get(name)!r} here"
        for name in {**asked, **found}
        if asked.get(name) != found.get(name)
    ]
    if other:
        raise ValueError(
            f"init: {path} is a model of other sizes: {'; '.join(other[:4])}; give the run the "
            "same sizes (architecture: published for CARZero's)"
        )
    if model.tokenizer is None:
        raise ValueError(
            f"tokenizer: {path} has none beside it; give --tokenizer, a folder or a vocab.txt"
        )
    return model


def digest(path: str) -> str:
    """Names the content of a file, or of all files of a folder.

    Raises:
        FileNotFoundError: nothing is there.
    """
    root = Path(path)
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    if not files:
        raise FileNotFoundError(f"{root}: expected a file or a folder with files, found none")
    whole = hashlib.sha256()
    for file in files:
        state = file.stat()
        whole.update(_digest(file, state.st_mtime_ns, state.st_size).encode())
    return whole.hexdigest()[:12]


@lru_cache
def _digest(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
