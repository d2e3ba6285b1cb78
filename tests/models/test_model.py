"""Heads and towers: orientation, masks, attention, bad input."""

import pytest
import torch

from offclip.models import ImageTextModel, ModelConfig, tokenize, train_tokenizer

TEXTS = ["there is pleural effusion", "there is no pleural effusion", "there is clear lung"] * 2
SMALL = {"image_size": 32, "image_widths": (8, 16), "dim": 16, "heads": 2}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocabulary=60)


def test_tokens_are_counted_before_a_text_is_cut(tokenizer, capfd):
    model = ImageTextModel.with_tokenizer(ModelConfig(**SMALL, text_length=6), tokenizer)
    words = ["there is effusion", "there is no pleural effusion", " ".join(["effusion"] * 90)]
    assert model.token_counts(words) == [5, 7, 92] and model.text_length == 6
    assert model.token_counts([]) == []
    cut = model.tokenize(words)
    assert cut["attention_mask"].sum(dim=1).tolist() == [5, 6, 6]
    assert model.token_counts(words * 1000) == [5, 7, 92] * 1000
    tokenizer_of_less = train_tokenizer(TEXTS, length=4)
    model.use_tokenizer(tokenizer_of_less)
    assert model.text_length == 4 and model.tokenize(words)["input_ids"].shape == (3, 4)
    assert "longer than" not in capfd.readouterr().err


def make(head, tokenizer, **overrides):
    torch.manual_seed(0)
    model = ImageTextModel(ModelConfig(head=head, **{**SMALL, **overrides}), len(tokenizer))
    return model.eval()


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_scores_are_oriented_by_their_direction(head, tokenizer):
    model = make(head, tokenizer)
    images, tokens = torch.randn(4, 1, 32, 32), tokenize(tokenizer, TEXTS[:3])
    scores = model.scores(images, **tokens)
    assert scores.image_to_text.shape == (4, 3) and scores.text_to_image.shape == (3, 4)
    one = model.scores(images[2:3], tokens["input_ids"][1:2], tokens["attention_mask"][1:2])
    torch.testing.assert_close(one.image_to_text[0, 0], scores.image_to_text[2, 1])
    torch.testing.assert_close(one.text_to_image[0, 0], scores.text_to_image[1, 2])
    torch.testing.assert_close(scores.mean, (scores.image_to_text + scores.text_to_image.T) / 2)


def test_cosine_head_gives_one_matrix_twice(tokenizer):
    scores = make("cosine", tokenizer)(torch.randn(2, 1, 32, 32), **tokenize(tokenizer, TEXTS[:3]))
    torch.testing.assert_close(scores.image_to_text, scores.text_to_image.T)


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_padding_changes_nothing(head, tokenizer):
    model, images = make(head, tokenizer), torch.randn(2, 1, 32, 32)
    tokens = tokenize(tokenizer, TEXTS[:1])
    padded = {
        "input_ids": torch.nn.functional.pad(tokens["input_ids"], (0, 3), value=0),
        "attention_mask": torch.nn.functional.pad(tokens["attention_mask"], (0, 3)),
    }
    torch.testing.assert_close(model(images, **tokens).mean, model(images, **padded).mean)


def test_attention_is_the_attention_that_makes_the_scores(tokenizer):
    """With values replaced by attention-weighted memory computed by hand, layer by layer."""
    model = make("cross_attention", tokenizer, fusion_layers=2, heads=1)
    images, tokens = torch.randn(2, 1, 32, 32), tokenize(tokenizer, TEXTS[:3])
    image_to_text, text_to_image = model.attention(images, **tokens)
    length = tokens["input_ids"].shape[1]
    assert image_to_text.shape == (2, 2, 3, 1 + 16) and text_to_image.shape == (2, 3, 2, 1 + length)
    torch.testing.assert_close(image_to_text.sum(-1), torch.ones(2, 2, 3))
    padding = tokens["attention_mask"] == 0
    assert not text_to_image[:, :, :, 1:].transpose(2, 3)[:, padding].any()
    head = model.head
    features = model.encode_images(images), model.encode_texts(**tokens)
    memory, _ = head._memory(features[0])
    x = head.norm(features[1].pooled)[None]
    for layer, weights in zip(head.layers, image_to_text, strict=True):
        x = x + layer.out(weights @ layer.value(memory))
        x = x + layer.linear2(layer.linear1(layer.norm3(x)).relu())
    expected = head.log_scale.exp() * head.mlp_head(head.norm(x)).squeeze(2)
    torch.testing.assert_close(model(images, **tokens).image_to_text, expected)


def test_a_patch_token_sees_its_neighbourhood_only(tokenizer):
    """Tokens stay local: a change in one corner leaves the opposite corner's token alone."""
    model = make("cross_attention", tokenizer, image_size=128)
    image = torch.randn(1, 1, 128, 128)
    changed = image.clone()
    changed[..., :8, :8] += 5
    before, after = (model.encode_images(each).tokens for each in (image, changed))
    assert not torch.allclose(before[0, 0], after[0, 0])
    torch.testing.assert_close(before[0, -1], after[0, -1])


def test_same_texts_give_the_same_tokenizer():
    first, second = (train_tokenizer(texts, vocabulary=60) for texts in (TEXTS, TEXTS[::-1]))
    assert first.get_vocab() == second.get_vocab()


def test_same_seed_gives_the_same_weights(tokenizer):
    first, second = (make("cross_attention", tokenizer).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"image_size": 60}, "multiple of the patch"),
        ({"heads": 5}, "divisor of dim"),
        ({"head": "dot"}, "expected one of cosine, cross_attention"),
    ],
)
def test_bad_configuration(overrides, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**overrides)


def test_bad_input(tokenizer):
    model, tokens = make("cosine", tokenizer), tokenize(tokenizer, TEXTS[:1])
    with pytest.raises(ValueError, match="expected 32×32 pixels"):
        model(torch.randn(1, 1, 48, 48), **tokens)
    with pytest.raises(ValueError, match="cross_attention"):
        model.attention(torch.randn(1, 1, 32, 32), **tokens)
    with pytest.raises(ValueError, match="at least one text"):
        train_tokenizer([])


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_the_score_bias_shifts_every_first_score_alike(head, tokenizer):
    images, tokens = torch.randn(4, 1, 32, 32), tokenize(tokenizer, TEXTS[:3])
    low, high = (make(head, tokenizer, score_bias=bias)(images, **tokens) for bias in (-10.0, 0.0))
    shift = torch.full((4, 3), 10.0)
    torch.testing.assert_close(high.image_to_text - low.image_to_text, shift)
    torch.testing.assert_close((high.text_to_image - low.text_to_image).T, shift)


def test_pictures_are_scaled_and_larger_ones_averaged(tokenizer):
    model, side = make("cosine", tokenizer), SMALL["image_size"]
    grey = torch.arange(side * side).reshape(1, side, side).remainder(256).to(torch.uint8)
    prepared = model.prepare(grey)
    torch.testing.assert_close(prepared[0, 0], (grey[0] / 255 - 0.5) / 0.25)
    twice = grey.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    torch.testing.assert_close(model.prepare(twice), prepared)
    with pytest.raises(ValueError, match=f"expected a side of at least {side} pixels"):
        model.prepare(grey[:, :8, :8])


def test_texts_need_a_tokenizer(tokenizer):
    model = make("cosine", tokenizer)
    with pytest.raises(ValueError, match="tokenizer: needed to read texts"):
        model.tokenize(["there is nodule"])


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_cosines_of_words_and_patches_leave_autocast_in_float32(head, tokenizer):
    model = make(head, tokenizer)
    images, tokens = torch.randn(3, 1, 32, 32), tokenize(tokenizer, TEXTS[:3])
    with torch.autocast("cpu", torch.bfloat16):
        sides = model.encode_images(images), model.encode_texts(**tokens)
        cosines = model.token_cosines(*sides)
        patches, words = (model.head.local(side.tokens).float() for side in sides)
    assert cosines.dtype == torch.float32
    expected = torch.cosine_similarity(words[:, :, None], patches[:, None], dim=3)
    torch.testing.assert_close(cosines, expected)
