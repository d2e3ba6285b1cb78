"""Chunked losses against the plain ones: value, gradients, edge cases, and what they hold."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from offclip.losses import (
    chunked_info_nce,
    chunked_off_diagonal_loss,
    chunked_offclip_loss,
    info_nce,
    off_diagonal_loss,
    offclip_loss,
)
from offclip.scores import PairScores

FORMS = ("bce", "soft_ce")
BALANCES = ("none", "classes")
FLAGS = ([True], [False], [True] * 4, [False] * 4, [True, False, False, False], [True, False] * 4)


def inputs(size, seed, scale=5.0, bias=-1.5):
    """Unit features, a scale and a bias in float64, all with gradients."""
    generator = torch.Generator().manual_seed(seed)
    images, texts = (
        normalize(torch.randn(size, 3, generator=generator, dtype=torch.float64), dim=1)
        for _ in range(2)
    )
    numbers = [torch.tensor(value, dtype=torch.float64) for value in (scale, bias)]
    return [each.requires_grad_() for each in (images, texts, *numbers)]


def plain_scores(images, texts, scale, bias):
    return scale * images @ texts.T + bias


def with_gradients(loss, leaves):
    gradients = torch.autograd.grad(
        loss, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return [loss, *gradients]


def assert_equal(chunked, plain, leaves):
    for ours, theirs in zip(
        with_gradients(chunked, leaves), with_gradients(plain, leaves), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(1, 12), st.integers(0, 10**6))
def test_random_batches_equal_the_plain_losses(flags, chunk_size, seed):
    is_normal, leaves = torch.tensor(flags), inputs(len(flags), seed)
    scores = plain_scores(*leaves)
    assert_equal(chunked_info_nce(*leaves, chunk_size=chunk_size), info_nce(scores), leaves)
    for form in FORMS:
        for balance in BALANCES:
            options = {"form": form, "balance": balance}
            options |= {"off_diagonal_weight": 0.7, "abnormal_weight": 1.3}
            ours = chunked_offclip_loss(
                *leaves, is_normal=is_normal, chunk_size=chunk_size, **options
            )
            theirs = offclip_loss(PairScores(scores, scores.T), is_normal, **options)
            assert_equal(ours.total, theirs.total, leaves)
            for name in ("off_diagonal", "abnormal"):
                assert getattr(ours, name).item() == pytest.approx(getattr(theirs, name).item())


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("form", FORMS)
def test_gradients(flags, form):
    is_normal, leaves = torch.tensor(flags), inputs(len(flags), 1)

    def total(*each):
        return chunked_offclip_loss(*each, is_normal=is_normal, form=form, chunk_size=3).total

    assert torch.autograd.gradcheck(total, leaves)


def test_defaults_are_those_of_the_plain_losses():
    is_normal, leaves = torch.tensor([True, True, False, False]), inputs(4, 2)
    images, texts, scale, _ = leaves
    scores = scale * images @ texts.T
    for ours, theirs in (
        (chunked_info_nce(images, texts, scale), info_nce(scores)),
        (
            chunked_off_diagonal_loss(images, texts, scale, is_normal=is_normal),
            off_diagonal_loss(scores, is_normal),
        ),
        (
            chunked_offclip_loss(images, texts, scale, is_normal=is_normal).total,
            offclip_loss(PairScores(scores, scores.T), is_normal).total,
        ),
    ):
        assert_equal(ours, theirs, leaves[:3])


def test_a_chunk_has_1024_rows_by_default():
    for loss in (chunked_info_nce, chunked_off_diagonal_loss, chunked_offclip_loss):
        assert inspect.signature(loss).parameters["chunk_size"].default == 1024


def test_the_bias_of_a_softmax_gets_a_gradient_of_zero():
    leaves = inputs(4, 2)
    is_normal = torch.tensor([True, True, False, False])
    for loss in (
        chunked_info_nce(*leaves),
        chunked_off_diagonal_loss(*leaves, is_normal=is_normal, form="soft_ce"),
    ):
        (gradient,) = torch.autograd.grad(loss, leaves[3])
        assert gradient.item() == 0


def test_scale_and_bias_may_be_numbers_or_hold_one_element():
    images, texts, scale, bias = inputs(5, 3)
    is_normal = torch.tensor([True, False, True, False, False])
    options = {"is_normal": is_normal, "form": "bce"}
    expected = chunked_off_diagonal_loss(images, texts, scale, bias, **options)
    for numbers in ((5.0, -1.5), (scale.reshape(1), bias.reshape(1))):
        loss = chunked_off_diagonal_loss(images, texts, *numbers, **options)
        torch.testing.assert_close(loss, expected, atol=0, rtol=0)


class LargestTensor(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, list | tuple) else [result]:
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return result


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("balance", BALANCES)
def test_no_operation_makes_more_than_a_chunk(form, balance):
    size, chunk_size = 64, 8
    leaves, is_normal = inputs(size, 4), torch.arange(size) % 2 == 0
    with LargestTensor() as chunked:
        chunked_offclip_loss(
            *leaves, is_normal=is_normal, form=form, balance=balance, chunk_size=chunk_size
        ).total.backward()
    with LargestTensor() as plain:
        info_nce(plain_scores(*leaves)).backward()
    assert chunked.elements == chunk_size * size
    assert plain.elements == size**2


@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_the_batch_does_not_matter(form):
    images, texts, scale, bias = inputs(7, 5)
    is_normal = torch.arange(7) < 3
    order = torch.tensor([4, 2, 6, 0, 1, 5, 3])
    options = {"form": form, "chunk_size": 2}
    plain = chunked_offclip_loss(images, texts, scale, bias, is_normal=is_normal, **options)
    shuffled = chunked_offclip_loss(
        images[order], texts[order], scale, bias, is_normal=is_normal[order], **options
    )
    assert plain.total.item() == pytest.approx(shuffled.total.item())


@pytest.mark.parametrize("scale", [1e4, 1e-4])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_scales_stay_finite(scale, form):
    leaves = [each.detach().float().requires_grad_() for each in inputs(6, 6, scale, bias=0.0)]
    is_normal = torch.arange(6) % 2 == 0
    loss = chunked_offclip_loss(*leaves, is_normal=is_normal, form=form, chunk_size=4).total
    assert all(each.isfinite().all() for each in with_gradients(loss, leaves))


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_and_autocast_are_computed_in_float32(form):
    leaves = inputs(16, 7)
    half = [each.detach().bfloat16().requires_grad_() for each in leaves]
    is_normal = torch.arange(16) % 3 == 0
    options = {"is_normal": is_normal, "form": form, "chunk_size": 5}
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_offclip_loss(*half, **options).total
        gradients = torch.autograd.grad(loss, half)
    exact = [each.detach().double().requires_grad_() for each in half]
    expected = chunked_offclip_loss(*exact, **options).total
    assert loss.dtype == torch.float32 and gradients[0].dtype == torch.bfloat16
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, exact), strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-5, rtol=1e-2)


def test_fewer_than_two_abnormal_give_a_differentiable_zero():
    for flags in ([True, True, True], [True, False, True]):
        leaves = inputs(3, 8)
        loss = chunked_offclip_loss(*leaves, is_normal=torch.tensor(flags)).abnormal
        gradients = torch.autograd.grad(loss, leaves[:2])
        assert loss.item() == 0 and not gradients[0].any() and not gradients[1].any()


def test_gradients_of_gradients_are_refused():
    images, texts, scale, _ = inputs(3, 9)
    options = {"is_normal": torch.tensor([True] * 3), "form": "bce"}
    bce = chunked_off_diagonal_loss(images, texts, scale, **options)
    for loss in (chunked_info_nce(images, texts, scale), bce):
        with pytest.raises(RuntimeError, match="^chunked losses have no gradients of gradients"):
            torch.autograd.grad(loss, images, create_graph=True)


@pytest.mark.parametrize("form", FORMS)
def test_function_transforms_are_refused(form):
    images, texts, _, _ = (each.detach() for each in inputs(3, 9))
    is_normal = torch.tensor([True, False, True])

    def loss(features):
        options = {"is_normal": is_normal, "form": form}
        return chunked_off_diagonal_loss(features, texts, 5.0, **options)

    with pytest.raises(RuntimeError, match="^chunked losses have no .* torch.func .* plain loss"):
        torch.func.grad(loss)(images)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"text_features": torch.ones(3, 3)},
            "image_features, text_features: expected the same shape \\(batch, dim\\), got",
        ),
        (
            {"image_features": torch.ones(2), "text_features": torch.ones(2)},
            "image_features, text_features: expected the same shape",
        ),
        ({"is_normal": torch.tensor([True])}, "is_normal: expected shape \\(2,\\)"),
        ({"is_normal": torch.tensor([1, 0])}, "is_normal: expected dtype torch.bool"),
        ({"logit_scale": 0.0}, "logit_scale: expected a number > 0, got 0.0"),
        ({"logit_scale": torch.tensor(-1.0)}, "logit_scale: expected a number > 0, got -1.0"),
        ({"chunk_size": 0}, "chunk_size: expected a whole number > 0, got 0"),
        ({"chunk_size": 1.5}, "chunk_size: expected a whole number > 0, got 1.5"),
        ({"form": "mse"}, "form: expected 'bce' or 'soft_ce', got 'mse'"),
        ({"balance": "x"}, "balance: expected 'none' or 'classes', got 'x'"),
        ({"off_diagonal_weight": -1.0}, "off_diagonal_weight: expected a number >= 0, got -1.0"),
        ({"abnormal_weight": -1.0}, "abnormal_weight: expected a number >= 0, got -1.0"),
        (
            {
                "image_features": torch.ones(0, 3),
                "text_features": torch.ones(0, 3),
                "is_normal": torch.ones(0, dtype=torch.bool),
            },
            "image_features: expected at least one pair, got shape \\(0, 3\\)$",
        ),
    ],
)
def test_bad_input_is_named(changed, message):
    good = {
        "image_features": torch.ones(2, 3),
        "text_features": torch.ones(2, 3),
        "logit_scale": 1.0,
        "is_normal": torch.tensor([True, False]),
    }
    with pytest.raises(ValueError, match=f"^{message}"):
        chunked_offclip_loss(**(good | changed))
