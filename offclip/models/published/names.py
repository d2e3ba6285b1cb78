"""The published names of our weights, and what a published file has to hold: names and shapes."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from offclip.models.config import PublishedConfig

Shape = tuple[int, ...]
PARTS = {"q_proj": 0, "k_proj": 1, "v_proj": 2, "query": 0, "key": 1, "value": 2}
# Ours → published. One published matrix holds query, key and value, in this order.
_RULES = (
    (r"image_tower\.model\.embeddings\.cls_token", r"img_encoder.model.cls_token"),
    (r"image_tower\.model\.embeddings\.position_embeddings", r"img_encoder.model.pos_embed"),
    (r"image_tower\.model\.embeddings\.patch_embeddings\.projection\.(\w+)",
     r"img_encoder.model.patch_embed.proj.\1"),
    (r"image_tower\.model\.layernorm\.(\w+)", r"img_encoder.model.norm.\1"),
    (r"image_tower\.model\.layers\.(\d+)\.layernorm_before\.(\w+)",
     r"img_encoder.model.blocks.\1.norm1.\2"),
    (r"image_tower\.model\.layers\.(\d+)\.layernorm_after\.(\w+)",
     r"img_encoder.model.blocks.\1.norm2.\2"),
    (r"image_tower\.model\.layers\.(\d+)\.attention\.[qkv]_proj\.(\w+)",
     r"img_encoder.model.blocks.\1.attn.qkv.\2"),
    (r"image_tower\.model\.layers\.(\d+)\.attention\.o_proj\.(\w+)",
     r"img_encoder.model.blocks.\1.attn.proj.\2"),
    (r"image_tower\.model\.layers\.(\d+)\.mlp\.(.+)", r"img_encoder.model.blocks.\1.mlp.\2"),
    (r"text_tower\.model\.(.+)", r"text_encoder.model.\1"),
    (r"head\.norm\.(\w+)", r"fusion_module.decoder_norm.\1"),
    (r"head\.layers\.(\d+)\.(?:query|key|value)\.(\w+)",
     r"fusion_module.decoder.layers.\1.multihead_attn.in_proj_\2"),
    (r"head\.layers\.(\d+)\.out\.(\w+)",
     r"fusion_module.decoder.layers.\1.multihead_attn.out_proj.\2"),
    (r"head\.layers\.(\d+)\.(.+)", r"fusion_module.decoder.layers.\1.\2"),
)  # fmt: skip
OPTIONAL = "text_encoder.model.embeddings.position_ids"  # a buffer of older transformers


def published_name(ours: str) -> tuple[str, int | None]:
    """The published name of one of our weights, and which third of it, if it is one.

    Raises:
        KeyError: no weight of the published model has this name.
    """
    network = re.fullmatch(r"head\.mlp_head\.(\d+)\.(\w+)", ours)
    if network:  # two modules a step here, three there: theirs have dropout between
        return f"fusion_module.mlp_head.{int(network[1]) // 2 * 3}.{network[2]}", None
    for pattern, published in _RULES:
        match = re.fullmatch(pattern, ours)
        if match:
            kind = next((name for name in PARTS if f".{name}." in ours), None)
            split = kind is not None and not ours.startswith("text_tower.")
            return match.expand(published), PARTS[kind] if split and kind else None
    raise KeyError(ours)


def published_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights, or a part of them, under published names; what these need and no more."""
    parts: dict[str, dict[int | None, Tensor]] = {}
    for ours, weight in state.items():
        name, part = published_name(ours)
        parts.setdefault(name, {})[part] = weight
    whole = {
        name: each[None] if None in each else torch.cat([each[part] for part in range(3)])
        for name, each in parts.items()
    }
    # one module under two names
    twice = {name.replace("decoder_norm", "decoder.norm"): weight for name, weight in whole.items()}
    return whole | twice


def used_shapes(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Published names and shapes of everything that our model uses, in this model's sizes."""
    shapes: dict[str, Shape] = {}
    for ours, weight in state.items():
        name, part = published_name(ours)
        length, *rest = weight.shape
        shapes[name] = (length if part is None else 3 * length, *rest)
        if ".decoder_norm." in name:  # one module under two names
            shapes[name.replace("decoder_norm", "decoder.norm")] = shapes[name]
    return shapes


def unused_shapes(config: PublishedConfig) -> dict[str, Shape]:
    """Published weights that no published forward pass uses; known by name, and not loaded."""
    dim = config.dim
    shapes: dict[str, Shape] = {
        "fusion_module.logit_scale": (),
        "text_encoder.model.pooler.dense.weight": (dim, dim),
        "text_encoder.model.pooler.dense.bias": (dim,),
    }
    for number in range(config.fusion_layers):
        layer = f"fusion_module.decoder.layers.{number}"
        shapes |= {
            f"{layer}.self_attn.in_proj_weight": (3 * dim, dim),
            f"{layer}.self_attn.in_proj_bias": (3 * dim,),
            f"{layer}.self_attn.out_proj.weight": (dim, dim),
            f"{layer}.self_attn.out_proj.bias": (dim,),
            f"{layer}.norm1.weight": (dim,),
            f"{layer}.norm1.bias": (dim,),
        }
    return shapes
