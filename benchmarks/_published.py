"""The published CARZero code as a peer: fetched by whoever runs a benchmark, never part of this.

    git clone https://github.com/laihaoran/CARZero ../CARZero

Its modules import a debugger and torchvision, of which these parts use nothing: empty modules stand
in for them.
"""

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from offclip.models.heads import CrossAttentionHead
from offclip.models.published.names import published_weights

MLP = "dqn_wo_self_atten_mlp"


def published_module(folder: Path, name: str) -> types.ModuleType:
    """``CARZero/models/<name>.py`` of a clone, without running the package's own ``__init__``.

    Raises:
        SystemExit: the folder is no clone of the published code.
    """
    models = folder / "CARZero" / "models"
    if not (models / f"{name}.py").is_file():
        raise SystemExit(
            f"{folder}: expected a clone of the published code with CARZero/models/{name}.py; "
            "git clone https://github.com/laihaoran/CARZero, and give its folder as --published"
        )
    for package, path in (("CARZero", models.parent), ("CARZero.models", models)):
        made = types.ModuleType(package)
        made.__path__ = [str(path)]
        sys.modules.setdefault(package, made)
    for unused in ("ipdb", "torchvision", "torchvision.models"):
        sys.modules.setdefault(unused, types.ModuleType(unused))
    return importlib.import_module(f"CARZero.models.{name}")


def published_head(folder: Path, ours: CrossAttentionHead) -> nn.Module:
    """The published fusion module with the weights of our head, its dropout off."""
    fusion = types.SimpleNamespace(
        d_model=ours.norm.normalized_shape[0],
        class_num=1,
        decoder_number_layer=len(ours.layers),
    )
    config = types.SimpleNamespace(model=types.SimpleNamespace(fusion=fusion))
    peer: nn.Module = published_module(folder, MLP).TQN_Model(cfg=config)
    found = peer.load_state_dict(fusion_weights(ours), strict=False)
    unused = [n for n in found.missing_keys if "self_attn" not in n and "norm1" not in n]
    if found.unexpected_keys or unused != ["logit_scale"]:
        raise SystemExit(f"{folder}: expected the published fusion module, got {found}")
    return peer.eval()


def fusion_weights(ours: CrossAttentionHead) -> dict[str, Tensor]:
    """Our head's weights under the names of the published fusion module."""
    state = {f"head.{name}": weight for name, weight in ours.state_dict().items()}
    published = published_weights(state).items()
    return {name.removeprefix("fusion_module."): weight for name, weight in published}


def published_words(folder: Path, words: Mapping[int, str]) -> Callable[[Tensor, Tensor], Tensor]:
    """The published summing of word pieces: (text, layer, slot, dim) and ids to the same shape."""
    aggregate = published_module(folder, "text_model").BertEncoder.aggregate_tokens
    encoder = types.SimpleNamespace(idxtoword=words)

    def call(states: Tensor, ids: Tensor) -> Tensor:
        summed: Tensor = aggregate(encoder, states, ids)[0]
        return summed

    return call
