"""The published-size cross-attention head: our ways of computing it, and the published code's."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._published import published_head
from offclip.losses import info_nce
from offclip.models import Features
from offclip.models.fusion import FusionLayer
from offclip.models.heads import CrossAttentionHead
from offclip.models.published import PublishedConfig
from offclip.scores import PairScores

PUBLISHED = PublishedConfig(vocabulary=0)
PATCHES, SLOTS = 196, PUBLISHED.text_length
EVERYTHING = 2**40  # pairs at once: no chunks, nothing computed twice
PEER = "CARZero head"
Way = Callable[[Features, Features], PairScores]


@dataclass(frozen=True)
class Setting:
    """What all ways get.

    Attributes:
        published: clone of the published code, or None where there is none.
        device: ``cpu`` or ``cuda``.
        precision: ``float32``, or the name of a half precision for autocast.
        size: images and texts of a batch.
    """

    published: Path | None
    device: str
    precision: str
    size: int

    def autocast(self) -> Any:
        """The same precision for all ways."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device, dtype=getattr(torch, self.precision))

    def __str__(self) -> str:
        return f"N = {self.size}, {self.precision}"


def new_head(setting: Setting) -> CrossAttentionHead:
    """Our head in the published size, in eval mode."""
    torch.manual_seed(0)
    head = CrossAttentionHead(
        PUBLISHED.dim,
        heads=PUBLISHED.fusion_heads,
        layers=PUBLISHED.fusion_layers,
        feedforward=PUBLISHED.fusion_feedforward,
        hidden=PUBLISHED.hidden,
    )
    head.pairs_at_once = EVERYTHING
    return head.to(setting.device).eval()


def new_features(setting: Setting, images: int, texts: int) -> tuple[Features, Features]:
    """Random features of both sides with gradients."""
    generator = torch.Generator().manual_seed(1)

    def side(count: int, tokens: int) -> Features:
        made = torch.randn(count, 1 + tokens, PUBLISHED.dim, generator=generator)
        pooled, local = (part.to(setting.device) for part in (made[:, 0], made[:, 1:]))
        return Features(pooled.clone().requires_grad_(), local.clone().requires_grad_())

    return side(images, PATCHES), side(texts, SLOTS)


def theirs(head: nn.Module) -> Way:
    """The published way from features to scores: ``CARZeroDQNWOSAGLMLP.forward``."""

    def call(images: Features, texts: Features) -> PairScores:
        def rows(side: Features, other: Features) -> Tensor:
            memory = torch.cat([side.pooled.unsqueeze(1), side.tokens], dim=1)
            scores: Tensor = head(memory, other.pooled).squeeze(-1)
            return scores

        return PairScores(rows(images, texts), rows(texts, images))

    return call


def forced(head: CrossAttentionHead, *, absorbed: bool) -> CrossAttentionHead:
    """The head, made to compute its attention in one of the two ways."""
    for layer in head.layers:
        assert isinstance(layer, FusionLayer)
        layer._absorbs = lambda queries, memory: absorbed  # type: ignore[method-assign]
    return head


def ways(setting: Setting, *, compiled: bool = False) -> dict[str, Way]:
    """Every way to the same scores by name, the published one last where its code is given."""
    again = new_head(setting)
    again.pairs_at_once = max(1, setting.size // 8) * setting.size
    found: dict[str, Way] = {
        "ours": new_head(setting),
        "ours, projected": forced(new_head(setting), absorbed=False),
        "ours, absorbed": forced(new_head(setting), absorbed=True),
        "ours, recomputed": again,
    }
    if compiled:
        head = new_head(setting)
        for layer in head.layers:
            layer.compile()
        found["ours, compiled"] = head
    if setting.published:
        peer = published_head(setting.published, new_head(setting))
        found["published"] = theirs(peer.to(setting.device))
    return found


def train_step(setting: Setting, way: Way, sides: tuple[Features, Features]) -> list[Tensor]:
    """Both score matrices, and the gradients of CARZero's loss for all features."""
    for side in sides:
        side.pooled.grad = side.tokens.grad = None
    with setting.autocast():
        scores = way(*sides)
    loss = info_nce(scores.image_to_text.float()) + info_nce(scores.text_to_image.float())
    loss.backward()
    leaves = [leaf for side in sides for leaf in (side.pooled, side.tokens)]
    grads = [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]
    return [scores.image_to_text.detach(), scores.text_to_image.detach(), *grads]


def distances(found: Sequence[Tensor], exact: Sequence[Tensor]) -> list[float]:
    """Norm of each tensor's difference, relative to the norm of the exact one."""
    pairs = zip(found, exact, strict=True)
    return [float((a.double() - b).norm() / b.norm()) for a, b in pairs]
