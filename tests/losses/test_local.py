"""GLoRIA's local loss: the equation in loops, the mask, bounds."""

import math

import pytest
import torch

from offclip.losses import gloria_local_loss, info_nce, local_scores


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def softmax(values):
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def local_score(regions, words, first, second, third):
    """One image with one text, in plain Python."""
    over_words = [softmax([dot(w, v) for w in words]) for v in regions]
    total = 0.0
    for t, word in enumerate(words):
        attention = softmax([first * share[t] for share in over_words])
        context = [dot(attention, column) for column in zip(*regions, strict=True)]
        cosine = dot(context, word) / math.sqrt(dot(context, context) * dot(word, word))
        total += math.exp(second * cosine)
    return third * math.log(total)


def features(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    words = torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)
    return patches.to(dtype), words.to(dtype)


MASK = torch.arange(6) < torch.tensor([[6], [2], [1]])


@pytest.mark.parametrize("sharpness", [(4.0, 5.0, 10.0), (1.0, 2.0, 0.5)])
def test_scores_equal_the_loop_and_padding_is_not_seen(sharpness):
    patches, words = features(0)
    names = ("attention_sharpness", "word_sharpness", "pair_sharpness")
    scores = local_scores(
        patches, words[:2], token_mask=MASK[:2], **dict(zip(names, sharpness, strict=True))
    )
    lengths = MASK.sum(1).tolist()
    expected = [
        [local_score(v, words[j, : lengths[j]].tolist(), *sharpness) for j in range(2)]
        for v in patches.tolist()
    ]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64))
    if sharpness == (4.0, 5.0, 10.0):
        default = local_scores(patches, words[:2], token_mask=MASK[:2])
        torch.testing.assert_close(default, scores, atol=0, rtol=0)


def test_the_loss_is_info_nce_of_the_scores_and_passes_its_options_on():
    patches, words = features(1)
    options = {"attention_sharpness": 2.0, "word_sharpness": 3.0, "pair_sharpness": 1.5}
    loss = gloria_local_loss(patches, words, token_mask=MASK, **options)
    expected = info_nce(local_scores(patches, words, token_mask=MASK, **options))
    assert loss.item() == pytest.approx(expected.item())
    default = gloria_local_loss(patches, words)
    assert default.item() == pytest.approx(info_nce(local_scores(patches, words)).item())


def test_one_word_that_every_region_says():
    """All cosines are 1, so each score is 10 (5 + log words)."""
    patches, words = torch.ones(2, 3, 4), torch.ones(2, 5, 4)
    scores = local_scores(patches, words)
    torch.testing.assert_close(scores, torch.full((2, 2), 10 * (5 + math.log(5))))
    assert gloria_local_loss(patches, words).item() == pytest.approx(math.log(2), abs=1e-5)


def test_gradients_and_order_and_a_batch_of_one():
    patches, words = (each.requires_grad_() for each in features(2))
    assert torch.autograd.gradcheck(
        lambda p, w: gloria_local_loss(p, w, token_mask=MASK), (patches, words)
    )
    order = torch.tensor([2, 0, 1])
    shuffled = gloria_local_loss(patches[order], words[order], token_mask=MASK[order])
    plain = gloria_local_loss(patches, words, token_mask=MASK)
    assert shuffled.item() == pytest.approx(plain.item())
    assert gloria_local_loss(patches[:1], words[:1]).item() == pytest.approx(0, abs=1e-12)
    plain.backward()
    assert not words.grad[~MASK].any() and words.grad[MASK].any()


@pytest.mark.parametrize("factor", [1e4, -1e4, 0.0])
def test_extreme_features_stay_finite(factor):
    patches, words = (each.mul(factor).requires_grad_() for each in features(3, torch.float32))
    loss = gloria_local_loss(patches, words, token_mask=MASK)
    loss.backward()
    assert loss.isfinite() and patches.grad.isfinite().all() and words.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    patches, words = features(4, torch.bfloat16)
    loss = gloria_local_loss(patches, words)
    assert loss.dtype == torch.float32
    exact = gloria_local_loss(patches.double(), words.double())
    assert loss.item() == pytest.approx(exact.item(), rel=1e-4)


@pytest.mark.usefixtures("plain_calls")
def test_bad_input_is_named():
    patches, words = features(5)
    for name in ("attention_sharpness", "word_sharpness", "pair_sharpness"):
        with pytest.raises(ValueError, match=f"^{name}: expected a number > 0, got 0.0"):
            gloria_local_loss(patches, words, **{name: 0.0})
    with pytest.raises(ValueError, match="^token_mask: expected shape \\(3, 6\\), got \\(1, 6\\)"):
        local_scores(patches, words, token_mask=MASK[:1])
    one_empty = MASK & torch.tensor([[True], [False], [True]])
    with pytest.raises(ValueError, match="^token_mask: expected a real word in every .*one$"):
        local_scores(patches, words, token_mask=one_empty)
    with pytest.raises(ValueError, match="square"):
        gloria_local_loss(patches[:2], words)
