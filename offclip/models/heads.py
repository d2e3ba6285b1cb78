"""Heads: from the features of N images and T texts to both score matrices."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear, normalize, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from offclip.models.config import ModelConfig
from offclip.models.towers import Features
from offclip.scores import PairScores, full_precision, no_autocast

AttentionMaps = tuple[
    Float[Tensor, "layer image text image_memory"], Float[Tensor, "layer text image text_memory"]
]


class CosineHead(nn.Module):
    r"""CLIP: ``scale · cos(image, text) + bias``, the same in both directions.

    The scale is learned as a logarithm from 1/0.07 on and is at most 100 (Radford et al. 2021);
    above that it gets no gradient, see :meth:`bound_scale`. The bias is learned from ``score_bias``
    on, or 0 (softmax losses do not see it, SigLIP's does).
    """

    max_log_scale = math.log(100)

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(config.score_bias or 0.0))

    @torch.no_grad()
    def bound_scale(self) -> None:
        """Set a scale above 100 to 100, where it has a gradient; for after a training step."""
        self.log_scale.clamp_(max=self.max_log_scale)

    def forward(self, images: Features, texts: Features) -> PairScores:
        scores = self.rows(images, texts.pooled)
        return PairScores(scores, scores.T)

    def rows(
        self, side: Features, queries: Float[Tensor, "other dim"]
    ) -> Float[Tensor, "side other"]:
        """Scores of each input of one side with each pooled vector of the other.

        In float32 inside autocast too, where a bfloat16 score near 100 would be off by up to 0.5.
        """
        left, right = (normalize(full_precision(x), dim=1) for x in (side.pooled, queries))
        with no_autocast(left):
            cosines = left @ right.T
        return self.log_scale.clamp(max=self.max_log_scale).exp() * cosines + self.bias

    def local(self, tokens: Float[Tensor, "*side dim"]) -> Float[Tensor, "*side dim"]:
        """Tokens in the space where words and patches are compared: as the towers give them."""
        return tokens

    def attention(self, images: Features, texts: Features) -> AttentionMaps:
        raise ValueError(
            "head: the cosine head has no attention; pointing needs head='cross_attention'"
        )


def attention_products(queries: int, tokens: int, dim: int, heads: int) -> tuple[int, int]:
    """Multiplications of one memory's cross-attention, in the two ways that it can be computed.

    First with projected keys and values: each token is multiplied twice by a matrix, and each
    query meets the tokens twice. Then absorbed: the matrices are applied to the queries, whose
    heads meet the tokens at full width. Few queries and many tokens favour the second. The query's
    and the output's own projections are the same in both, and left out.
    """
    return (
        2 * tokens * dim * (dim + queries),
        2 * queries * dim * (dim + heads * tokens),
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
        for projection in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(
        self,
        x: Float[Tensor, "#memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"] | None = None,
    ) -> Float[Tensor, "memory query dim"]:
        """Queries that all memories share come once, and are projected once.

        Args:
            x: the queries.
            memory: what they ask.
            mask: True for tokens that are attended; default: all are.
        """
        query = self.query(self.norm2(x))
        attend = self._absorbed if self._absorbs(x.shape[1], memory.shape[1]) else self._projected
        x = x + self.out(attend(query, memory, mask))
        return x + self.linear2(self.linear1(self.norm3(x)).relu())

    def _absorbs(self, queries: int, tokens: int) -> bool:
        projected, absorbed = attention_products(
            queries, tokens, self.query.in_features, self.heads
        )
        return absorbed < projected

    def _projected(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Keys and values are made once for each memory and serve all its queries."""
        attended = scaled_dot_product_attention(
            self._split(query).expand(len(memory), -1, -1, -1),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=None if mask is None else mask[:, None, None, :],
        )
        return attended.transpose(1, 2).flatten(2)

    def _absorbed(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        r"""The same, with no key and no value: their matrices move to the queries' side.

        :math:`q \cdot W_k m = W_k^\top q \cdot m`, and a sum of values is the value of the sum. The
        bias of the keys adds the same to all tokens of a memory, which a softmax does not see; it
        is there for its gradient of zero, as data-parallel training waits for every parameter's.
        """
        into = self.key.weight.unflatten(0, (self.heads, -1))
        out = self.value.weight.unflatten(0, (self.heads, -1))
        query, scale = self._split(query), into.shape[1] ** -0.5
        asked = torch.einsum("bhqc,hcd->bhqd", query, into).flatten(1, 2)
        bias = self.key.bias.unflatten(0, (self.heads, 1, -1))
        offset = (query * bias).sum(dim=3).flatten(1)[:, :, None]
        asked = asked.expand(len(memory), -1, -1)
        logits = torch.baddbmm(scale * offset, asked, memory.transpose(1, 2), alpha=scale)
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, :], -torch.inf)
        seen = (logits.softmax(dim=2) @ memory).unflatten(1, (self.heads, -1))
        values = torch.einsum("bhqd,hcd->bqhc", seen, out).flatten(2)
        return values + self.value.bias

    def weights(
        self,
        x: Float[Tensor, "#memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"] | None = None,
    ) -> Float[Tensor, "memory query token"]:
        """Attention weights of this layer, averaged over its heads."""
        query, key = self._split(self.query(self.norm2(x))), self._split(self.key(memory))
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], -torch.inf)
        return logits.softmax(dim=3).mean(dim=1)


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

    Attributes:
        pairs_at_once: image-text pairs evaluated at a time, see :meth:`rows`. Lower it where memory
            ends; scores and gradients stay the same up to rounding.
    """

    pairs_at_once = 16_384

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

    def _memory(self, side: Features) -> tuple[Tensor, Tensor | None]:
        memory = self.norm(torch.cat([side.pooled[:, None], side.tokens], dim=1))
        if side.mask is None:
            return memory, None
        return memory, torch.cat([side.mask.new_ones(len(side.mask), 1), side.mask], dim=1)

    def _chunk(self, side: Features, queries: Float[Tensor, "other dim"]) -> Tensor:
        memory, mask = self._memory(side)
        x = self.norm(queries)[None]
        for layer in self._layers:
            x = layer(x, memory, mask)
        scores = self._score(self.mlp_head[:-1](self.norm(x)))
        return scores if self.log_scale is None else self.log_scale.exp() * scores

    def _score(self, hidden: Tensor) -> Tensor:
        """The last layer, in float32 inside autocast too: half precision would make scores tie."""
        last = cast(nn.Linear, self.mlp_head[-1])
        hidden, weight, bias = map(full_precision, (hidden, last.weight, last.bias))
        with no_autocast(hidden):
            return linear(hidden, weight, bias).squeeze(2)

    def rows(
        self, side: Features, queries: Float[Tensor, "other dim"]
    ) -> Float[Tensor, "side other"]:
        """Scores of each memory of one side with each pooled vector of the other.

        At most :attr:`pairs_at_once` pairs at a time, so that memory grows with the queries and not
        with all pairs; several such chunks are computed once more in the backward pass.
        """
        chunks = side.split(max(1, self.pairs_at_once // len(queries)))
        if len(chunks) == 1:
            return self._chunk(side, queries)
        if not torch.is_grad_enabled():
            return torch.cat([self._chunk(chunk, queries) for chunk in chunks])
        again = partial(checkpoint, self._chunk, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(chunk, queries) for chunk in chunks])

    def _maps(self, side: Features, other: Features) -> Float[Tensor, "layer side other token"]:
        memory, mask = self._memory(side)
        x = self.norm(other.pooled)[None]
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
        return PairScores(self.rows(images, texts.pooled), self.rows(texts, images.pooled))

    def attention(self, images: Features, texts: Features) -> AttentionMaps:
        """Head-averaged attention: (layers, N, T, 1 + patches) and (layers, T, N, 1 + tokens)."""
        return self._maps(images, texts), self._maps(texts, images)
