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
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from offclip.files import atomic_path, write_json, write_text
from offclip.folders import Mark, read_mark, replaced, settled
from offclip.models.config import ModelConfig, PublishedConfig
from offclip.models.model import ImageTextModel, PairModel
from offclip.models.published import PublishedCARZero, load_published, read_tokenizer

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
        sizes = dataclasses.asdict(model.config)
        write_json(work / "config.json", {"model_type": model.model_type, **sizes})
        if card:
            write_text(work / "README.md", card)
    return Path(folder)


def load(
    source: str | Path, *, tokenizer: PreTrainedTokenizerBase | str | Path | None = None
) -> PairModel:
    """Load a model of any supported origin; it is in eval mode.

    Args:
        source: the folder of a run or of a saved model, told by ``model_type`` in its
            ``config.json``, or a checkpoint file of CARZero or OFF-CLIP (:func:`load_published`).
        tokenizer: in place of the model's own: a tokenizer, its directory or ``vocab.txt``.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is no model, or one of its parts is missing or damaged.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: expected a saved model, a run or a checkpoint, got nothing there"
        )
    if path.is_file():
        return load_published(path, tokenizer)
    folder = settled(path)
    model_type, sizes = _settings(folder / "config.json")
    own = load_tokenizer(folder) if (folder / "tokenizer").is_dir() else None
    chosen = own if tokenizer is None else read_tokenizer(tokenizer)
    try:
        model = _new_model(model_type, sizes, own or chosen)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / 'config.json'}: expected sizes and tokenizer of model_type {model_type}, "
            f"got something else ({error}); export the model again"
        ) from error
    weights = folder / "model.safetensors"
    load_weights(weights if weights.is_file() else folder / "best.safetensors", model)
    if chosen is not None:
        model.use_tokenizer(chosen)
    return model.eval()


def _settings(path: Path) -> tuple[str, dict[str, Any]]:
    """Return type and sizes of a model from the ``config.json`` of a saved model or a run."""
    types = (ImageTextModel.model_type, PublishedCARZero.model_type)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model_type = content.pop("model_type")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        model_type = None
    if model_type not in types:
        raise ValueError(
            f"{path}: expected a model_type of {', '.join(types)}, got {model_type!r}; give the "
            "folder of a finished run or of a saved model (python -m offclip export)"
        )
    return model_type, content.get("model", content)


def _new_model(
    model_type: str, sizes: dict[str, Any], tokenizer: PreTrainedTokenizerBase | None
) -> PairModel:
    if model_type == PublishedCARZero.model_type:
        return PublishedCARZero(PublishedConfig(**sizes))
    if tokenizer is None:
        raise KeyError("tokenizer/")  # its length is a size of this model
    config = ModelConfig(**{**sizes, "image_widths": tuple(sizes["image_widths"])})
    return ImageTextModel(config, len(tokenizer))
