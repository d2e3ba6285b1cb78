"""Maps over the patches: what each kind means, on tiny models in double precision."""

import copy

import numpy as np
import pytest
import torch

from offclip.evaluation import attention_maps
from offclip.evaluation.maps import KINDS
from offclip.models import ImageTextModel, ModelConfig, train_tokenizer

PROMPTS = ["there is effusion", "there is small nodule", "there is no effusion"]
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module", params=["cross_attention", "cosine"])
def model(request):
    torch.manual_seed(0)
    config = ModelConfig(
        image_size=32, image_widths=(8, 16), dim=16, text_layers=1, heads=2, head=request.param,
        fusion_layers=2,
    )  # fmt: skip
    tokenizer = train_tokenizer(PROMPTS * 3, length=config.text_length)
    return ImageTextModel.with_tokenizer(config, tokenizer).double().eval()


def scores(model, change):
    """Scores of images whose patch tokens were changed, as a loop would compute them."""
    texts = model.encode_texts(**model.tokenize(PROMPTS))
    tokens = model.encode_images(model.prepare(torch.from_numpy(PICTURES))).tokens
    return model.head(model.image_tower.pooled(change(tokens)), texts).mean


@torch.no_grad()
def test_a_patch_alone_is_an_image_of_one_patch(model):
    maps = attention_maps(model, PICTURES, PROMPTS, kind="patch")
    assert maps.shape == (3, 3, 4, 4)
    for patch in (0, 5, 15):
        one = scores(model, lambda tokens, at=patch: tokens[:, at : at + 1])
        np.testing.assert_allclose(maps.reshape(3, 3, 16)[:, :, patch], one, atol=1e-12)


@torch.no_grad()
def test_gradient_maps_are_the_change_of_the_score(model):
    maps = attention_maps(model, PICTURES, PROMPTS, kind="gradient").reshape(3, 3, 16)
    for patch in (0, 7):

        def change(tokens, by, at=patch):
            scale = torch.ones(16, 1, dtype=torch.float64)
            scale[at] += by
            return tokens * scale

        up, down = (scores(model, lambda t, b=by: change(t, b)) for by in (1e-6, -1e-6))
        np.testing.assert_allclose(maps[:, :, patch], (up - down) / 2e-6, atol=1e-5)


def test_attention_is_a_share_of_each_memory(model):
    if model.config.head == "cosine":
        with pytest.raises(ValueError, match="no attention"):
            attention_maps(model, PICTURES, PROMPTS)
        return
    maps = attention_maps(model, PICTURES, PROMPTS)
    assert (maps > 0).all() and (maps.sum(axis=(2, 3)) < 1).all()


@pytest.mark.parametrize("kind", ["gradient", "patch"])
def test_an_image_does_not_depend_on_its_neighbours(model, kind):
    together = attention_maps(model, PICTURES, PROMPTS, kind=kind)
    alone = attention_maps(model, PICTURES[1:2], PROMPTS, kind=kind)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_a_model_in_half_precision(model, kind):
    if kind == "attention" and model.config.head == "cosine":
        pytest.skip("the cosine head has no attention")
    half = copy.deepcopy(model).bfloat16()
    maps = attention_maps(half, PICTURES, PROMPTS, kind=kind)
    assert maps.dtype == np.float32
    exact = attention_maps(model, PICTURES, PROMPTS, kind=kind)
    assert np.linalg.norm(maps - exact) < 0.25 * np.linalg.norm(exact)


def test_an_unknown_kind_is_named(model):
    with pytest.raises(ValueError, match="kind: expected one of attention, gradient, patch"):
        attention_maps(model, PICTURES, PROMPTS, kind="rollout")
