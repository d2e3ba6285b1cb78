"""Heads: from the features of N images and T texts to both score matrices."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from torch.utils.checkpoint import checkpoint

from offclip.models.config import ModelConfig
from offclip.models.fusion import FusionLayer
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


PAIRS_ON_CPU = 16_384


def free_memory(device: torch.device) -> int:
    """Bytes that tensors on a GPU can still take, those that PyTorch holds in reserve included."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + unused


def pairs_that_fit(free: int, size: int) -> int:
    """Pairs of ``size`` bytes in a quarter of the free memory: a power of two, at least 1.

    Both directions are held until the backward pass, and as much again is left to gradients and to
    the optimizer.
    """
    return 2 ** max(0, (free // (4 * size)).bit_length() - 1)


class CrossAttentionHead(nn.Module):
    """CARZero: image attends to text and text to image, by cross-attention (Lai et al. 2024).

    Memory (keys and values): the pooled vector and the tokens of one side; query: the pooled
    vector of the other. Both pass one shared LayerNorm, which also closes the decoder; a small ReLU
    network computes the score. Deviations: masked tokens are not attended (CARZero attends
    padding), and a learned factor can scale the score.

    Args:
        dim: of all tokens.
        heads: of the attention; divides ``dim``.
        layers: at least 1.
        feedforward: width inside a layer.
        hidden: widths of the score network between ``dim`` and 1.
        score_scale: first value of the learned factor; default: no factor, as published.
        score_bias: first value of the score's bias, in units of the score; default: random.

    Attributes:
        pairs_at_once: image-text pairs evaluated at a time, see :meth:`rows`; None: 16,384 on a
            CPU, and on a GPU what fits into the memory that is free at the first call, see
            ``pairs_that_fit``. Scores and gradients stay the same up to rounding.
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
        self.pairs_at_once: int | None = None
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
        chunks = side.split(max(1, self._pairs(side.tokens) // len(queries)))
        if len(chunks) == 1:
            return self._chunk(side, queries)
        if not torch.is_grad_enabled():
            return torch.cat([self._chunk(chunk, queries) for chunk in chunks])
        again = partial(checkpoint, self._chunk, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(chunk, queries) for chunk in chunks])

    def _pairs(self, tokens: Float[Tensor, "side token dim"]) -> int:
        if self.pairs_at_once is None:
            size = tokens.element_size() * self.activations(tokens.shape[1])
            on_gpu = tokens.device.type == "cuda"
            fitting = pairs_that_fit(free_memory(tokens.device), size) if on_gpu else PAIRS_ON_CPU
            self.pairs_at_once = fitting
        return self.pairs_at_once

    def activations(self, tokens: int) -> int:
        """Numbers per pair that a forward pass keeps for the backward pass, at most.

        ``tokens`` of a memory. Counted for the absorbed way, which keeps more.
        """
        layer = self._layers[0]
        dim, feedforward = layer.linear1.in_features, layer.linear1.out_features
        attention = 2 * layer.heads * (tokens + 1 + dim)
        return len(self._layers) * (8 * dim + 2 * feedforward + attention)

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
