"""A model on disk: weights as safetensors, configuration as JSON, and its tokenizer.

Nothing is pickled, so a folder from a stranger can be read without running their code.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerFast

from offclip.files import atomic_path, write_json, write_text
from offclip.folders import Mark, read_mark, replaced, settled
from offclip.models.config import ModelConfig
from offclip.models.model import ImageTextModel, PairModel
from offclip.models.published import PublishedCARZero

TOKENIZER_FILES = tuple(
    f"tokenizer/{name}"
    for name in (
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.txt", "vocab.json", "merges.txt",
    )
)  # fmt: skip
"""What :func:`save_tokenizer` may write."""
SAVED = "saved model"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""


def save_weights(path: str | Path, model: nn.Module) -> None:
    """Write the model's state dict as safetensors."""
    with atomic_path(path) as temporary:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, temporary)


def load_weights(path: str | Path, model: nn.Module) -> None:
    """Load weights into ``model``; every key has to match.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is corrupt, or its keys or shapes are not the model's.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no weights here; train first or give another folder")
    try:
        model.load_state_dict(load_file(path))
    except Exception as error:
        raise ValueError(f"{path}: not the weights of this model ({error})") from error


def save_tokenizer(folder: str | Path, model: PairModel) -> None:
    """Write the model's tokenizer to ``folder/tokenizer``.

    Raises:
        ValueError: it has none.
    """
    if model.tokenizer is None:
        raise ValueError("tokenizer: a saved model needs one; give it to use_tokenizer")
    model.tokenizer.save_pretrained(Path(folder) / "tokenizer")


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """Read what :func:`save_tokenizer` wrote."""
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
        Path(folder) / "tokenizer"
    )
    return tokenizer


def save_model(
    folder: str | Path,
    model: ImageTextModel,
    *,
    card: str = "",
    dataset: str = "",
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write ``model.safetensors``, ``config.json`` and ``tokenizer/``; return the folder.

    Args:
        folder: new or empty, or of an earlier call with this dataset and these settings, whose
            files are replaced.
        model: with its tokenizer.
        card: text of ``README.md``; "" for none.
        dataset: that it was trained on, for the folder's mark.
        settings: what else tells it from other models, likewise.
        force: also replace a saved model of another dataset or with other settings.

    Raises:
        ValueError: the model has no tokenizer, or the folder holds something else.
    """
    contents = ("model.safetensors", "config.json", "README.md", *TOKENIZER_FILES)
    mark = Mark(SAVED, dataset, dict(settings or {}), contents)
    if not (force or settings) and read_mark(folder) is not None:
        raise ValueError(
            f"{folder}: expected a new or empty folder for a model without settings that tell it "
            "from others, got one with a saved model; give another folder, or force=True"
        )
    with replaced(folder, mark, force=force) as work:
        save_tokenizer(work, model)
        save_weights(work / "model.safetensors", model)
        write_json(work / "config.json", dataclasses.asdict(model.config))
        if card:
            write_text(work / "README.md", card)
    return Path(folder)


def load_saved(folder: str | Path) -> PairModel:
    """Read a small model that :func:`save_model` wrote, or a published one from its folder.

    Raises:
        ValueError: it is neither.
    """
    path = settled(folder) / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder}: expected a saved model, found no config.json")
    if '"fusion_feedforward"' in path.read_text(encoding="utf-8"):
        published: PairModel = PublishedCARZero.from_pretrained(str(folder), local_files_only=True)
        return published.eval()
    return load_model(folder)


def load_model(folder: str | Path) -> ImageTextModel:
    """Read what :func:`save_model` wrote; the model has its tokenizer and is in eval mode.

    Raises:
        ValueError: nothing is there, or one of the parts is not of such a model.
    """
    folder = settled(folder)
    if not (folder / "config.json").is_file() or not (folder / "tokenizer").is_dir():
        raise ValueError(
            f"{folder}: expected a saved model (config.json, model.safetensors, tokenizer/); "
            "make one with python -m offclip export"
        )
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        widths = tuple(settings.pop("image_widths"))
        config = ModelConfig(image_widths=widths, **settings)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{folder / 'config.json'}: expected the settings of ModelConfig, got something else "
            f"({error}); export the model again"
        ) from error
    model = ImageTextModel.with_tokenizer(config, load_tokenizer(folder))
    load_weights(folder / "model.safetensors", model)
    return model.eval()
