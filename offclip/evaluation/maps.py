"""Where in an image a prompt finds its answer: three maps over the patches."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from offclip.evaluation.scoring import Images, image_batches, prompt_features
from offclip.models import PairModel
from offclip.models.towers import Features, ImageTower
from offclip.scores import full_precision

Map = Float[Tensor, "image prompt patch"]
BATCH = 64


def attention_maps(
    model: PairModel,
    images: Images,
    prompts: Sequence[str],
    *,
    kind: str = "attention",
) -> Float[np.ndarray, "image prompt row column"]:
    """One map over the patches for each image and prompt; higher is more.

    Args:
        model: is put into eval mode.
        images: grey, of the model's ``picture_size``; the maps cover them without its ``margin``.
        prompts: a map each.
        kind: ``"attention"``: image-to-text attention, mean of the layers, as published models
            are scored (needs the cross-attention head). ``"gradient"``: how much the score rises
            with each patch token, token times gradient (Grad-CAM at the tokens, without its mean
            over places). ``"patch"``: the score of an image that consists of this patch alone.
            Both need a tower that pools its tokens.

    Raises:
        ValueError: an unknown kind, or one that the model's head or tower does not allow.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}; got {kind!r}")
    model.eval()
    with torch.no_grad():
        texts = prompt_features(model, prompts)
    batches = image_batches(model, images, BATCH)
    maps = torch.cat([KINDS[kind](model, batch, texts) for batch in batches])
    grid = math.isqrt(maps.shape[2])
    return full_precision(maps).unflatten(2, (grid, grid)).numpy()


def _pooling(model: PairModel) -> ImageTower:
    if not isinstance(model.image_tower, ImageTower):
        raise ValueError(
            "kind: 'gradient' and 'patch' need a tower that pools its tokens; the pooled vector of "
            f"{type(model.image_tower).__name__} is another token, take kind='attention'"
        )
    return model.image_tower


@torch.no_grad()
def _attention(model: PairModel, images: Tensor, texts: Features) -> Map:
    image_to_text, _ = model.head.attention(model.encode_images(images), texts)
    return image_to_text.mean(dim=0)[:, :, 1:].cpu()


@torch.enable_grad()
def _gradient(model: PairModel, images: Tensor, texts: Features) -> Map:
    with torch.no_grad():
        fixed = model.encode_images(images).tokens
    tokens = fixed.requires_grad_()
    scores = model.head(_pooling(model).pooled(tokens), texts).mean.sum(dim=0)
    slopes = [torch.autograd.grad(score, tokens, retain_graph=True)[0] for score in scores]
    return torch.stack([(slope * tokens).sum(dim=2) for slope in slopes], dim=1).detach().cpu()


@torch.no_grad()
def _patch(model: PairModel, images: Tensor, texts: Features) -> Map:
    tokens = model.encode_images(images).tokens
    alone = _pooling(model).pooled(tokens.flatten(0, 1)[:, None])
    return model.head(alone, texts).mean.unflatten(0, tokens.shape[:2]).transpose(1, 2).cpu()


KINDS: dict[str, Callable[[PairModel, Tensor, Features], Map]] = {
    "attention": _attention,
    "gradient": _gradient,
    "patch": _patch,
}
