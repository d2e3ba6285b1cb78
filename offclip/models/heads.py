"""Heads: from the features of N images and T texts to both score matrices."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from offclip.models.config import ModelConfig
from offclip.models.towers import Features
from offclip.scores import PairScores

AttentionMaps = tuple[
    Float[Tensor, "layer image text image_memory"], Float[Tensor, "layer text image text_memory"]
]


class CosineHead(nn.Module):
    r"""CLIP: ``scale · cos(image, text) + bias``, the same in both directions.

    The scale is learned as a logarithm from 1/0.07 on and is at most 100 (Radford et al. 2021); the
    bias is learned from ``score_bias`` on, or 0 (softmax losses do not see it, SigLIP's does).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(config.score_bias or 0.0))

    def forward(self, images: Features, texts: Features) -> PairScores:
        cosines = normalize(images.pooled, dim=1) @ normalize(texts.pooled, dim=1).T
        scores = self.log_scale.clamp(max=math.log(100)).exp() * cosines + self.bias
        return PairScores(scores, scores.T)

    def local(self, tokens: Float[Tensor, "*side dim"]) -> Float[Tensor, "*side dim"]:
        """Tokens in the space where words and patches are compared: as the towers give them."""
        return tokens

    def attention(self, images: Features, texts: Features) -> AttentionMaps:
        raise ValueError(
            "head: the cosine head has no attention; pointing needs head='cross_attention'"
        )


class FusionLayer(nn.Module):
    """One layer of CARZero's decoder: cross-attention, then a feed-forward block, both pre-norm.

    ``x + attention(norm2(x), memory, memory)``, then ``x + linear2(ReLU(linear1(norm3(x))))``.
    Norms and linears are named as in ``nn.TransformerDecoderLayer``, whose self-attention CARZero
    carries but never uses; it is left out.
    """

    def __init__(self, dim: int, heads: int, feedforward: int):
        super().__init__()
        self.heads = heads
        self.norm2 = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(
        self,
        x: Float[Tensor, "memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"],
    ) -> Float[Tensor, "memory query dim"]:
        """Keys and values are made once for each memory and serve all its queries."""
        attended = scaled_dot_product_attention(
            self._split(self.query(self.norm2(x))),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=mask[:, None, None, :],
        )
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.linear2(self.linear1(self.norm3(x)).relu())

    def weights(
        self,
        x: Float[Tensor, "memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"],
    ) -> Float[Tensor, "memory query token"]:
        """Attention weights of this layer, averaged over its heads."""
        query, key = self._split(self.query(self.norm2(x))), self._split(self.key(memory))
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        return logits.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(dim=3).mean(dim=1)


class CrossAttentionHead(nn.Module):
    """CARZero: each side asks the other through cross-attention, in both directions.

    Memory: the pooled vector and the tokens of one side; query: the pooled vector of the other.
    Both pass one shared LayerNorm, which also closes the decoder; a small ReLU network makes the
    score (Lai et al. 2024). Deviations: masked tokens are not attended (CARZero attends padding),
    and a learned factor can scale the score.

    Args:
        dim: of all tokens.
        heads: of the attention; divides ``dim``.
        layers: at least 1.
        feedforward: width inside a layer.
        hidden: widths of the score network between ``dim`` and 1.
        score_scale: first value of the learned factor; default: no factor, as published.
        score_bias: first value of the score's bias, in units of the score; default: drawn.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        layers: int,
        feedforward: int,
        hidden: Sequence[int],
        score_scale: float | None = None,
        score_bias: float | None = None,
    ):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self._layers = [FusionLayer(dim, heads, feedforward) for _ in range(layers)]
        self.layers = nn.ModuleList(self._layers)
        last = nn.Linear(hidden[-1], 1)
        steps = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise((dim, *hidden))]
        self.mlp_head = nn.Sequential(*(module for step in steps for module in step), last)
        self.log_scale = (
            None if score_scale is None else nn.Parameter(torch.tensor(math.log(score_scale)))
        )
        if score_bias is not None:
            nn.init.constant_(last.bias, score_bias / (score_scale or 1.0))

    def _prepare(self, side: Features, other: Features) -> tuple[Tensor, Tensor, Tensor]:
        memory = self.norm(torch.cat([side.pooled[:, None], side.tokens], dim=1))
        mask = torch.cat([side.mask.new_ones(len(side.mask), 1), side.mask], dim=1)
        query = self.norm(other.pooled).expand(len(memory), -1, -1)
        return query, memory, mask

    def _direction(self, side: Features, other: Features) -> Float[Tensor, "side other"]:
        x, memory, mask = self._prepare(side, other)
        for layer in self._layers:
            x = layer(x, memory, mask)
        scores: Tensor = self.mlp_head(self.norm(x)).squeeze(2)
        return scores if self.log_scale is None else self.log_scale.exp() * scores

    def _maps(self, side: Features, other: Features) -> Float[Tensor, "layer side other token"]:
        x, memory, mask = self._prepare(side, other)
        maps = []
        for layer in self._layers:
            maps.append(layer.weights(x, memory, mask))
            x = layer(x, memory, mask)
        return torch.stack(maps)

    def local(self, tokens: Float[Tensor, "*side dim"]) -> Float[Tensor, "*side dim"]:
        """Tokens in the space where words and patches are compared: after the shared LayerNorm."""
        normed: Tensor = self.norm(tokens)
        return normed

    def forward(self, images: Features, texts: Features) -> PairScores:
        return PairScores(self._direction(images, texts), self._direction(texts, images))

    def attention(self, images: Features, texts: Features) -> AttentionMaps:
        """Head-averaged attention: (layers, N, T, 1 + patches) and (layers, T, N, 1 + tokens)."""
        return self._maps(images, texts), self._maps(texts, images)
