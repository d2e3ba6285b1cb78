"""CARZero's, MedCLIP's and SupCon's "in" loss: loops, bounds, and how they relate to ours."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import (
    carzero_loss,
    info_nce,
    medclip_loss,
    pair_targets,
    semantic_targets,
    supcon_in_loss,
)
from offclip.scores import PairScores
from tests.losses import oracles
from tests.losses.test_losses import batch


def supcon_in(scores, targets, ignored):
    """Both directions of the equation, a row at a time."""
    means = []
    for s, t, out in (
        (scores, targets, ignored),
        (oracles.transpose(scores), oracles.transpose(targets), oracles.transpose(ignored)),
    ):
        losses = []
        for i, row in enumerate(s):
            kept = [j for j in range(len(row)) if not out[i][j]]
            mass = sum(t[i][j] for j in kept)
            if mass:
                every = sum(math.exp(row[j]) for j in kept)
                losses.append(
                    -math.log(sum(t[i][j] / mass * math.exp(row[j]) / every for j in kept))
                )
        means.append(sum(losses) / len(losses) if losses else 0.0)
    return sum(means) / 2


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_supcon_in_equals_its_loop_and_is_never_above_out(seed):
    logits, is_normal = batch(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    ignore = torch.rand(logits.shape, generator=generator) < 0.3
    targets = pair_targets(is_normal)
    loss = supcon_in_loss(logits, targets, ignore=ignore).item()
    expected = supcon_in(logits.tolist(), targets.tolist(), ignore.tolist())
    assert loss == pytest.approx(expected, abs=1e-9)
    assert loss <= info_nce(logits, targets, ignore=ignore).item() + 1e-9


def test_supcon_in_with_one_positive_a_row_is_info_nce():
    logits, _ = batch(1, size=6)
    assert supcon_in_loss(logits, torch.eye(6)).item() == pytest.approx(info_nce(logits).item())


def test_k_normals_have_the_floor_log_k_in_both_forms_but_only_out_asks_for_all():
    k, targets = 4, torch.ones(4, 4)
    block = torch.zeros(k, k, dtype=torch.float64)
    one_each = block + 50 * torch.eye(k)
    assert supcon_in_loss(block, targets).item() == pytest.approx(math.log(k))
    assert supcon_in_loss(one_each, targets).item() == pytest.approx(math.log(k))
    assert info_nce(block, targets).item() == pytest.approx(math.log(k))
    assert info_nce(one_each, targets).item() == pytest.approx(50 * (k - 1) / k)


@pytest.mark.parametrize("flags", [[True], [True] * 3, [False] * 3, [True, False, True, True]])
def test_supcon_in_gradients_and_order(flags):
    is_normal = torch.tensor(flags)
    logits = batch(4, size=len(flags))[0].requires_grad_()
    targets = pair_targets(is_normal)
    assert torch.autograd.gradcheck(lambda s: supcon_in_loss(s, targets), (logits,))
    order = torch.arange(len(flags)).flip(0)
    shuffled = supcon_in_loss(logits[order][:, order], targets[order][:, order])
    assert shuffled.item() == pytest.approx(supcon_in_loss(logits, targets).item())


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_supcon_in_at_extremes_and_with_nothing_to_count(value):
    signs = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).sign()
    logits = (value * signs).requires_grad_()
    loss = supcon_in_loss(logits, pair_targets(torch.tensor([True, True, False, False, True])))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    logits.grad = None
    for targets, ignore in (
        (torch.zeros(5, 5), None),
        (torch.eye(5), torch.ones(5, 5, dtype=torch.bool)),
    ):
        loss = supcon_in_loss(logits, targets, ignore=ignore)
        loss.backward()
        assert loss.item() == 0 and not logits.grad.any()


def test_half_precision_is_computed_in_float32():
    logits, is_normal = batch(8, size=32)
    half, targets = logits.bfloat16(), pair_targets(is_normal)
    loss = supcon_in_loss(half, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(supcon_in_loss(half.double(), targets).item(), rel=1e-5)


def test_carzero_adds_the_two_directions():
    logits, _ = batch(3, size=5)
    other = logits.T + torch.arange(5.0, dtype=torch.float64)
    expected = info_nce(logits) + info_nce(other)
    assert carzero_loss(PairScores(logits, other)).item() == pytest.approx(expected.item())
    flat = torch.zeros(8, 8)
    assert carzero_loss(PairScores(flat, flat)).item() == pytest.approx(2 * math.log(8), abs=1e-6)


def medclip(scores, image_labels, text_labels, temperature):
    """Cosines of label vectors, softmax over rows and over columns, cross-entropy."""

    def norm(v):
        return math.sqrt(sum(x * x for x in v))

    def one_way(s, own, other):
        total = 0.0
        for i, row in enumerate(s):
            cosines = [
                sum(a * b for a, b in zip(own[i], v, strict=True)) / norm(own[i]) / norm(v)
                for v in other
            ]
            shares = [math.exp(c / temperature) for c in cosines]
            total -= sum(
                share / sum(shares) * oracles.log_softmax_at(row, j)
                for j, share in enumerate(shares)
            )
        return total / len(s)

    return (
        one_way(scores, image_labels, text_labels)
        + one_way(oracles.transpose(scores), text_labels, image_labels)
    ) / 2


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_medclip_equals_its_loop_for_unpaired_images_and_texts(temperature):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    images = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    texts = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    loss = medclip_loss(logits, images, texts, temperature=temperature)
    expected = medclip(logits.tolist(), images.tolist(), texts.tolist(), temperature)
    assert loss.item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(
        lambda s: medclip_loss(s, images, texts, temperature=temperature), (logits,)
    )
    if temperature == 1.0:
        assert medclip_loss(logits, images, texts).item() == loss.item()


def test_the_floor_of_medclip_is_the_entropy_of_its_targets():
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    targets = semantic_targets(labels, labels)
    shares = targets / targets.sum(1, keepdim=True)
    entropy = -(shares * shares.log()).sum(1).mean().item()
    best = targets.log().requires_grad_()
    loss = medclip_loss(best, labels, labels)
    loss.backward()
    assert loss.item() == pytest.approx(entropy) and best.grad.abs().max() < 1e-12
    assert medclip_loss(2 * best, labels, labels).item() > entropy


@pytest.mark.usefixtures("plain_calls")
def test_shapes_are_named():
    with pytest.raises(ValueError, match="targets: expected shape \\(2, 2\\)"):
        supcon_in_loss(torch.zeros(2, 2), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="ignore: expected shape \\(2, 2\\)"):
        supcon_in_loss(torch.zeros(2, 2), torch.eye(2), ignore=torch.zeros(1, 2).bool())
    with pytest.raises(ValueError, match="temperature"):
        medclip_loss(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1), temperature=0.0)
