"""Cells to ignore and cell weights, in every loss that takes them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import (
    abnormal_info_nce,
    info_nce,
    off_diagonal_loss,
    offclip_loss,
    pair_targets,
    sigmoid_loss,
)
from offclip.scores import PairScores
from tests.losses import oracles
from tests.losses.test_losses import batch


def cells(seed, size):
    generator = torch.Generator().manual_seed(seed + 1)
    weight = torch.rand(size, size, generator=generator, dtype=torch.float64)
    return weight, torch.rand(size, size, generator=generator) < 0.3


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_info_nce_equals_its_loop(seed):
    logits, is_normal = batch(seed)
    weight, ignore = cells(seed, len(logits))
    targets = pair_targets(is_normal)
    loss = info_nce(logits, targets, pair_weight=weight, ignore=ignore)
    weighted = (targets * weight).tolist()
    expected = oracles.info_nce(logits.tolist(), weighted, ignore.tolist())
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    identity = torch.eye(len(logits)).tolist()
    expected = oracles.info_nce(logits.tolist(), identity, ignore.tolist())
    assert info_nce(logits, ignore=ignore).item() == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_abnormal_info_nce_equals_its_loop(seed):
    logits, is_normal = batch(seed)
    _, ignore = cells(seed, len(logits))
    kept = [i for i, normal in enumerate(is_normal.tolist()) if not normal]
    inner, out = ([[m[i][j] for j in kept] for i in kept] for m in (logits, ignore.tolist()))
    identity = [[float(i == j) for j in kept] for i in kept]
    expected = oracles.info_nce(torch.tensor(inner).tolist(), identity, out)
    if len(kept) < 2:
        expected = 0.0
    loss = abnormal_info_nce(logits, is_normal, ignore=ignore)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_offclip_passes_cells_to_its_terms_in_both_directions():
    logits, _ = batch(7, size=6)
    is_normal = torch.tensor([True, False, True, False, False, True])
    weight, ignore = cells(7, 6)
    other = logits + 1.0 * torch.arange(6)
    loss = offclip_loss(
        PairScores(logits, other.T), is_normal, form="bce", pair_weight=weight, ignore=ignore
    )
    expected = [
        off_diagonal_loss(each, is_normal, form="bce", pair_weight=weight, ignore=ignore)
        for each in (logits, other)
    ]
    assert loss.off_diagonal.item() == pytest.approx(sum(expected).item() / 2)
    expected = [abnormal_info_nce(each, is_normal, ignore=ignore) for each in (logits, other)]
    assert loss.abnormal.item() == pytest.approx(sum(expected).item() / 2)


@pytest.mark.parametrize("balance", ["none", "classes"])
@pytest.mark.parametrize("form", ["bce", "soft_ce"])
def test_what_an_ignored_cell_holds_is_not_seen(form, balance):
    logits, is_normal = batch(3, size=6)
    _, ignore = cells(3, 6)
    options = {"form": form, "balance": balance, "ignore": ignore}
    changed = logits.masked_fill(ignore, 1e4).requires_grad_()
    loss = off_diagonal_loss(changed, is_normal, **options)
    loss.backward()
    assert loss.item() == pytest.approx(off_diagonal_loss(logits, is_normal, **options).item())
    assert not changed.grad[ignore].any() and changed.grad[~ignore].any()


@pytest.mark.parametrize("balance", ["none", "classes"])
@pytest.mark.parametrize("form", ["bce", "soft_ce"])
def test_gradients_with_cells(form, balance):
    logits, _ = batch(5, size=5)
    is_normal = torch.tensor([True, True, False, False, True])
    weight, ignore = cells(5, 5)

    def total(s):
        scores = PairScores(s, 0.5 * s.T)
        options = {"form": form, "balance": balance, "pair_weight": weight, "ignore": ignore}
        return offclip_loss(scores, is_normal, **options).total

    assert torch.autograd.gradcheck(total, (logits.requires_grad_(),))


def test_balanced_kinds_weigh_the_same_with_weights_and_ignored_cells():
    """By hand: weighted means over the visible positive and the visible negative cells."""
    logits, is_normal = batch(9, size=6)
    weight, ignore = cells(9, 6)
    positive = pair_targets(is_normal).bool()
    losses = torch.nn.functional.softplus(torch.where(positive, -logits, logits))
    means = [
        (weight * losses)[kind & ~ignore].sum() / weight[kind & ~ignore].sum()
        for kind in (positive, ~positive)
    ]
    loss = off_diagonal_loss(
        logits, is_normal, form="bce", balance="classes", pair_weight=weight, ignore=ignore
    )
    assert loss.item() == pytest.approx(sum(means).item() / 2)


def test_balanced_rows_weigh_the_same_with_weights_and_ignored_cells():
    """By hand: mean over counted normal and over counted abnormal rows, then over columns."""
    logits, is_normal = batch(9, size=6)
    weight, ignore = cells(9, 6)
    halves = []
    for s, w, out in ((logits, weight, ignore), (logits.T, weight.T, ignore.T)):
        means = []
        for kind in (True, False):
            losses = []
            for i in range(6):
                shares = w[i] * pair_targets(is_normal)[i] * ~out[i]
                if is_normal[i] == kind and shares.sum() > 0:
                    visible = s[i].masked_fill(out[i], -torch.inf).log_softmax(0)
                    losses.append(-(shares * visible)[~out[i]].sum() / shares.sum())
            means.append(sum(losses) / len(losses))
        halves.append(sum(means) / 2)
    loss = off_diagonal_loss(
        logits, is_normal, form="soft_ce", balance="classes", pair_weight=weight, ignore=ignore
    )
    assert loss.item() == pytest.approx(sum(halves).item() / 2)


def test_the_scores_decide_the_dtype():
    logits, is_normal = batch(2, size=4)
    weight, _ = cells(2, 4)
    targets = pair_targets(is_normal)
    for scores, cell in ((logits.float(), weight), (logits, weight.float())):
        for loss in (
            info_nce(scores, targets, pair_weight=cell),
            sigmoid_loss(scores, targets, pair_weight=cell),
            off_diagonal_loss(scores, is_normal, form="bce", balance="classes"),
        ):
            assert loss.dtype == scores.dtype


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("name", ["pair_weight", "ignore"])
def test_cells_of_another_shape_are_named(name):
    cell = torch.ones(2, 3) if name == "pair_weight" else torch.ones(2, 3, dtype=torch.bool)
    flags = torch.tensor([True, False])
    square = torch.zeros(2, 2)
    for call in (
        lambda: info_nce(square, **{name: cell}),
        lambda: sigmoid_loss(square, square, **{name: cell}),
        lambda: off_diagonal_loss(square, flags, **{name: cell}),
        lambda: offclip_loss(PairScores(square, square), flags, **{name: cell}),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected shape \\(2, 2\\), the shape of"):
            call()
    for loss in (info_nce, sigmoid_loss):
        with pytest.raises(ValueError, match="^targets: expected .* logits, got \\(2, 3\\)"):
            loss(square, torch.ones(2, 3))
    one_row = cell[:1, :2]
    for form in ("bce", "soft_ce"):
        with pytest.raises(ValueError, match=f"^{name}: expected .* got \\(1, 2\\)"):
            off_diagonal_loss(square, flags, form=form, balance="classes", **{name: one_row})
    if name == "ignore":
        with pytest.raises(ValueError, match="ignore: expected shape"):
            abnormal_info_nce(square, flags, ignore=cell)
