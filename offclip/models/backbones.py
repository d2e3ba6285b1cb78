"""Towers from any vision or text model of ``transformers``, by configuration or from a folder."""

import sys
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from offclip.models.heads import CrossAttentionHead
from offclip.models.model import PairModel
from offclip.models.towers import Features

Source: TypeAlias = str | Path | PreTrainedConfig


class VisionBackbone(nn.Module):
    """Patch tokens and a pooled vector from a ViT, DINOv2, ConvNeXt, ResNet or their like.

    A transformer's class token is the pooled vector, further special tokens (DINOv2's registers)
    are left out; a network with a feature map gives its cells as tokens and their mean as the
    pooled vector. Grey images are repeated for a backbone with three channels.

    Args:
        source: a configuration (random weights) or a local folder (its weights).
        dim: of the tokens that come out; projected if the backbone has another width.
    """

    def __init__(self, source: Source, dim: int):
        super().__init__()
        self.backbone = _load(source, "image")
        self.channels = int(getattr(self.backbone.config, "num_channels", 3))
        self.project = nn.LazyLinear(dim)
        with torch.no_grad():  # one look gives the width, and whether this is a vision model
            size = _side(self.backbone.config)
            self.forward(torch.zeros(1, self.channels, size, size))

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Features:
        """Encode images of one channel, or of as many as the backbone has."""
        if images.shape[1] not in (1, self.channels):
            raise ValueError(
                f"images: expected 1 or {self.channels} channels, got {images.shape[1]}"
            )
        found = self.backbone(images.expand(-1, self.channels, -1, -1)).last_hidden_state
        if found.ndim == 4:
            patches = found.flatten(2).transpose(1, 2)
            pooled = patches.mean(dim=1)
        else:
            height, width = images.shape[-2:]
            patch = int(self.backbone.config.patch_size)
            cells = (height // patch) * (width // patch)
            special = found.shape[1] - cells
            if special < 0:
                raise ValueError(
                    f"backbone: {type(self.backbone).__name__} gives {found.shape[1]} tokens for "
                    f"{cells} patches; take one that keeps its patches or gives a feature map"
                )
            patches = found[:, special:]
            pooled = found[:, 0] if special else patches.mean(dim=1)
        return Features(self.project(pooled), self.project(patches))


class TextBackbone(nn.Module):
    """Word tokens and their mean from a BERT or its like; padding counts nowhere.

    Args:
        source: a configuration (random weights) or a local folder (its weights).
        dim: of the tokens that come out.
    """

    def __init__(self, source: Source, dim: int):
        super().__init__()
        self.backbone = _load(source, "text")
        self.project = nn.Linear(int(self.backbone.config.hidden_size), dim)

    @property
    def text_length(self) -> int:
        """Longest text in tokens that its table of positions has room for."""
        return _positions(self.backbone)

    def forward(
        self, input_ids: Int[Tensor, "batch token"], attention_mask: Int[Tensor, "batch token"]
    ) -> Features:
        """Encode token ids; ``attention_mask`` is 1 for real tokens, 0 for padding."""
        found = self.backbone(input_ids, attention_mask=attention_mask).last_hidden_state
        tokens, mask = self.project(found), attention_mask.bool()
        weight = mask.unsqueeze(2).to(tokens.dtype)
        pooled = (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return Features(pooled, tokens, mask, mask)


class BackboneModel(PairModel):
    """Two backbones and the cross-attention head, with the published head's proportions.

    Args:
        vision: of the image tower.
        text: of the text tower.
        dim: of all tokens in the head.
        heads: of the head's attention; divides ``dim``.
        layers: of the head.
        score_scale: first value of the learned factor on the scores.
    """

    text_tower: TextBackbone

    def __init__(
        self,
        vision: Source,
        text: Source,
        *,
        dim: int = 256,
        heads: int = 4,
        layers: int = 1,
        score_scale: float = 5.0,
    ):
        super().__init__()
        self.image_tower = VisionBackbone(vision, dim)
        self.picture_size = _side(self.image_tower.backbone.config)
        self.text_tower = TextBackbone(text, dim)
        self.head = CrossAttentionHead(
            dim,
            heads=heads,
            layers=layers,
            feedforward=4 * dim // 3,
            hidden=(dim,),
            score_scale=score_scale,
        )

    @property
    def text_length(self) -> int:
        return min(self.text_tower.text_length, super().text_length)


def _load(source: Source, side: str) -> PreTrainedModel:
    if isinstance(source, PreTrainedConfig):
        made: PreTrainedModel = AutoModel.from_config(source)
        return made
    folder = Path(source)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder}: expected the folder of a {side} model of transformers (config.json and "
            "weights); nothing is downloaded here"
        )
    model: PreTrainedModel = AutoModel.from_pretrained(str(folder), local_files_only=True)
    return model


def _positions(model: PreTrainedModel) -> int:
    """Positions of a learned table; no limit where there is none.

    RoBERTa and its like count from the padding's index on, so that many fewer are of use.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return sys.maxsize


def _side(config: PreTrainedConfig) -> int:
    size = getattr(config, "image_size", 224)
    return int(size[0] if isinstance(size, (list, tuple)) else size)
