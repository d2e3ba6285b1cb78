"""Image and text towers: one global vector and local tokens for each input.

Built from ``transformers`` configurations and trained from scratch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel

from offclip.models.config import ModelConfig


@dataclass(frozen=True)
class Features:
    """What a tower returns.

    Attributes:
        pooled: one vector for each input.
        tokens: local tokens; image patches in row-major order, or words.
        mask: True for tokens to attend; None: all of them.
        words: of a text, True for tokens that hold a word, attended or not; None: all of them.
    """

    pooled: Float[Tensor, "batch dim"]
    tokens: Float[Tensor, "batch token dim"]
    mask: Bool[Tensor, "batch token"] | None = None
    words: Bool[Tensor, "batch token"] | None = None

    def split(self, size: int) -> list["Features"]:
        """Features of so many inputs at a time."""

        def part(field: Tensor | None, start: int) -> Any:
            return None if field is None else field[start : start + size]

        return [
            Features(*(part(field, start) for field in vars(self).values()))
            for start in range(0, len(self.pooled), size)
        ]


class ImageTower(nn.Module):
    """A residual network whose last feature map gives the patch tokens.

    The tokens see a neighbourhood, not the whole image: tokens that mix globally before the head
    point to lesions worse. A learned position is added to each, and the pooled vector is a
    projection of their mean and maximum.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        widths = list(config.image_widths)
        self.backbone = ResNetModel(
            ResNetConfig(
                num_channels=1,
                embedding_size=widths[0] // 2,
                hidden_sizes=widths,
                depths=[1] * len(widths),
                layer_type="basic",
            )
        )
        self.project = nn.Linear(widths[-1], config.dim)
        self.position = nn.Parameter(0.02 * torch.randn(config.grid**2, config.dim))
        self.norm = nn.LayerNorm(config.dim)
        self.pool = nn.Linear(2 * config.dim, config.dim)

    def forward(self, images: Float[Tensor, "batch 1 height width"]) -> Features:
        """Encode grey images, already scaled to about zero mean and unit variance."""
        size = self.config.image_size
        if images.shape[-2:] != (size, size):
            raise ValueError(
                f"images: expected {size}×{size} pixels, got {tuple(images.shape[-2:])}; "
                "resize them, or build the model with this image_size"
            )
        feature_map = self.backbone(images).last_hidden_state
        tokens = self.project(feature_map.flatten(2).transpose(1, 2))
        return self.pooled(self.norm(tokens + self.position))

    def pooled(self, tokens: Float[Tensor, "batch token dim"]) -> Features:
        """Features of an image that consists of these tokens, all of its patches or some."""
        pooled = self.pool(torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1))
        return Features(pooled, tokens)


class TextTower(nn.Module):
    """A small BERT; the pooled vector is the mean of the real tokens.

    CARZero averages over all 97 slots, zero padding included; here padding counts nowhere.
    """

    def __init__(self, config: ModelConfig, vocabulary: int):
        super().__init__()
        self.backbone = BertModel(
            BertConfig(
                vocab_size=vocabulary,
                hidden_size=config.dim,
                num_hidden_layers=config.text_layers,
                num_attention_heads=config.heads,
                intermediate_size=2 * config.dim,
                max_position_embeddings=config.text_length,
                type_vocab_size=1,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
            ),
            add_pooling_layer=False,
        )
        self.pool = nn.Linear(config.dim, config.dim)

    def forward(
        self, input_ids: Int[Tensor, "batch token"], attention_mask: Int[Tensor, "batch token"]
    ) -> Features:
        """Encode token ids; ``attention_mask`` is 1 for real tokens, 0 for padding."""
        tokens = self.backbone(input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.bool()
        weight = mask.unsqueeze(2).to(tokens.dtype)
        mean = (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return Features(self.pool(mean), tokens, mask, mask)
