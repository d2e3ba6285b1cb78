"""Published checkpoints: read without running what is pickled in them, checked name by name."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from offclip.models.config import PublishedConfig
from offclip.models.published.model import PublishedCARZero, PublishedImageTower
from offclip.models.published.names import (
    OPTIONAL,
    Shape,
    published_name,
    unused_shapes,
    used_shapes,
)

WORDS = "text_encoder.model.embeddings.word_embeddings.weight"
LIGHTNING, M3AE = "CARZero.", "vision_encoder."
Weights = dict[str, Tensor]


def load_published(
    source: str | Path | Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
) -> PublishedCARZero:
    """Load the weights of CARZero or OFF-CLIP; the model is in eval mode.

    Args:
        source: a checkpoint (CARZero's Lightning file, OFF-CLIP's ``model_state_dict``, a bare
            state dict; pickled or safetensors), or what such a file holds.
        tokenizer: a BERT tokenizer, its directory or its ``vocab.txt``. Default: looked for beside
            the checkpoint; without one, images can be encoded and texts cannot.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not a checkpoint, is of another model, or an entry is missing,
            unknown or has another shape; all are named.
    """
    weights = _weights(source)
    if WORDS not in weights:
        hint = "; these weights are M3AE's, see load_image_tower" if _is_m3ae(weights) else ""
        raise ValueError(f"checkpoint: {WORDS!r} is missing, so this is no CARZero{hint}")
    if tokenizer is None and not isinstance(source, Mapping):
        tokenizer = _beside(Path(source))
    model = model_of(weights, PublishedConfig(vocabulary=len(weights[WORDS])))
    if tokenizer is not None:
        model.use_tokenizer(read_tokenizer(tokenizer))
    return model


def model_of(weights: Mapping[str, Tensor], config: PublishedConfig) -> PublishedCARZero:
    """The model of these sizes with these weights, by their published names; in eval mode.

    Raises:
        ValueError: an entry is missing, unknown or has another shape; all are named.
    """
    with torch.device("meta"):  # no time for random weights that are replaced at once
        model = PublishedCARZero(config)
    state = model.state_dict()
    expected = used_shapes(state) | unused_shapes(config)
    _check(weights, expected)
    _same_norm(weights)
    model.load_state_dict(_ours(weights, state), assign=True)
    _fill_buffers(model)
    return model.eval()


def load_image_tower(source: str | Path | Mapping[str, Any]) -> PublishedImageTower:
    """The image tower alone, from M3AE's weights (``vision_encoder.``), where CARZero started.

    What else M3AE holds, its decoder above all, is left out, as CARZero does.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an entry is missing or has another shape; all are named.
    """
    weights = {
        name.removeprefix(M3AE): weight
        for name, weight in _weights(source).items()
        if name.startswith(M3AE)
    }
    with torch.device("meta"):
        tower = PublishedImageTower(PublishedConfig(vocabulary=1))
    state = {f"image_tower.{name}": weight for name, weight in tower.state_dict().items()}
    prefix = "img_encoder.model."
    expected = {k.removeprefix(prefix): shape for k, shape in used_shapes(state).items()}
    _check({k: w for k, w in weights.items() if k in expected}, expected)
    ours = _ours({prefix + name: weight for name, weight in weights.items()}, state)
    tower.load_state_dict({k.removeprefix("image_tower."): w for k, w in ours.items()}, assign=True)
    _fill_buffers(tower)
    return tower.eval()


def _weights(source: str | Path | Mapping[str, Any]) -> Weights:
    """The state dict inside, under its published names."""
    content: Any = source if isinstance(source, Mapping) else _read(Path(source))
    for key in ("state_dict", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"checkpoint: expected weights by name, got {type(content).__name__}")
    weights = {name: weight for name, weight in content.items() if isinstance(weight, Tensor)}
    if not weights:
        raise ValueError(
            "checkpoint: expected tensors by name, or a 'state_dict' or 'model_state_dict' of "
            f"them; found {', '.join(list(content)[:5]) or 'nothing'}"
        )
    return {name.removeprefix(LIGHTNING): weight for name, weight in weights.items()}


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a checkpoint, found no file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_INERT)
    except Exception as error:
        raise ValueError(f"{path}: not a checkpoint, or a damaged one ({error})") from error


class _Skipped:
    """Stands for whatever else is pickled in a checkpoint: takes everything, does nothing."""

    def __init__(self, *_: object, **__: object):
        pass

    def __call__(self, *_: object, **__: object) -> "_Skipped":
        return self

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def append(self, _: object) -> None:
        """Take an element of a list."""

    def extend(self, _: object) -> None:
        """Take elements of a list."""


_SAFE: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    """Makes tensors and plain containers; every other class becomes :class:`_Skipped`.

    PyTorch's own ``weights_only`` refuses a file with any other class in it, and CARZero's hold
    their settings as OmegaConf objects. No code that a file names is imported or run.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name.endswith("Storage"):
            return getattr(torch, name)
        return _SAFE.get((module, name), _Skipped)


def _load(file: Any, **settings: Any) -> Any:
    """As ``pickle.load``; PyTorch reads files of its older format with it."""
    return _Unpickler(file, **settings).load()


_INERT = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="inert")


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Shape]) -> None:
    missing = sorted(set(expected) - set(weights))
    unknown = sorted(set(weights) - set(expected) - {OPTIONAL})
    shapes = [
        f"{name} has shape {tuple(weights[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    found = [f"missing: {_few(missing)}"] * bool(missing)
    found += [f"unknown: {_few(unknown)}"] * bool(unknown) + shapes[:5]
    if found:
        raise ValueError(f"checkpoint: not CARZero's weights; {'; '.join(found)}")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _same_norm(weights: Mapping[str, Tensor]) -> None:
    for end in ("weight", "bias"):
        first, second = (f"fusion_module.decoder{dot}norm.{end}" for dot in "_.")
        if not torch.equal(weights[first], weights[second]):
            raise ValueError(
                f"checkpoint: {first} and {second} are one module in the published code and have "
                "to be equal; they differ"
            )


def _ours(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Weights:
    """Published weights under our names, in float32."""
    renamed = {}
    for ours in state:
        name, part = published_name(ours)
        weight = weights[name].float()
        renamed[ours] = weight.clone() if part is None else weight.chunk(3)[part].clone()
    return renamed


def _fill_buffers(model: torch.nn.Module) -> None:
    """Make the buffers that no checkpoint holds; they were left without memory."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                ramp = torch.arange(buffer.shape[-1]).expand(buffer.shape)
                filled = ramp.clone() if name == "position_ids" else torch.zeros_like(ramp)
                module.register_buffer(name, filled, persistent=False)


def _is_m3ae(weights: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(M3AE) for name in weights)


def _beside(path: Path) -> Path | None:
    for name in ("tokenizer", "vocab.txt", "tokenizer.json"):
        if (path.parent / name).exists():
            return path.parent if name == "tokenizer.json" else path.parent / name
    return None


def read_tokenizer(source: PreTrainedTokenizerBase | str | Path) -> PreTrainedTokenizerBase:
    """A BERT tokenizer, from its directory or its ``vocab.txt``; one that is read already stays.

    Raises:
        FileNotFoundError: neither is there.
    """
    if isinstance(source, PreTrainedTokenizerBase):
        return source
    path = Path(source)
    if path.is_file():
        from transformers import BertTokenizerFast

        return BertTokenizerFast(vocab=str(path), do_lower_case=True)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a tokenizer's directory or vocab.txt")
    found = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    assert isinstance(found, PreTrainedTokenizerFast)
    return found
