"""Where in an image a prompt finds its answer: three maps over the patches."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from offclip.models import ImageTextModel, tokenize
from offclip.models.towers import Features

Map = Float[Tensor, "image prompt patch"]
BATCH = 64


def attention_maps(
    model: ImageTextModel,
    tokenizer: PreTrainedTokenizerBase,
    images: Float[Tensor, "image 1 height width"],
    prompts: Sequence[str],
    *,
    kind: str = "attention",
) -> Float[np.ndarray, "image prompt row column"]:
    """One map over the patches for each image and prompt; higher is more.

    Args:
        model: is put into eval mode.
        tokenizer: of the model.
        images: scaled as for training.
        prompts: what is asked.
        kind: ``"attention"``: image-to-text attention, mean of the layers, as published models
            are judged (needs the cross-attention head). ``"gradient"``: how much the score rises
            with each patch token, token times gradient (Grad-CAM at the tokens, without its mean
            over places). ``"patch"``: the score of an image that consists of this patch alone.

    Raises:
        ValueError: an unknown kind, or attention of a head that has none.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}; got {kind!r}")
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        tokens = tokenize(tokenizer, prompts)
        texts = model.encode_texts(**{name: value.to(device) for name, value in tokens.items()})
    grid = model.config.grid
    maps = [KINDS[kind](model, part.to(device), texts) for part in images.split(BATCH)]
    return torch.cat(maps).unflatten(2, (grid, grid)).numpy()


@torch.no_grad()
def _attention(model: ImageTextModel, images: Tensor, texts: Features) -> Map:
    image_to_text, _ = model.head.attention(model.encode_images(images), texts)
    return image_to_text.mean(dim=0)[:, :, 1:].cpu()


@torch.enable_grad()
def _gradient(model: ImageTextModel, images: Tensor, texts: Features) -> Map:
    with torch.no_grad():
        fixed = model.encode_images(images).tokens
    tokens = fixed.requires_grad_()
    scores = model.head(model.image_tower.pooled(tokens), texts).mean.sum(dim=0)
    slopes = [torch.autograd.grad(score, tokens, retain_graph=True)[0] for score in scores]
    return torch.stack([(slope * tokens).sum(dim=2) for slope in slopes], dim=1).detach().cpu()


@torch.no_grad()
def _patch(model: ImageTextModel, images: Tensor, texts: Features) -> Map:
    tokens = model.encode_images(images).tokens
    alone = model.image_tower.pooled(tokens.flatten(0, 1)[:, None])
    return model.head(alone, texts).mean.unflatten(0, tokens.shape[:2]).transpose(1, 2).cpu()


KINDS: dict[str, Callable[[ImageTextModel, Tensor, Features], Map]] = {
    "attention": _attention,
    "gradient": _gradient,
    "patch": _patch,
}
