"""Scores of -inf: nothing is lost at a negative, everything at a positive, and nothing is NaN."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, logsigmoid

from offclip.losses import (
    abnormal_info_nce,
    carzero_loss,
    chunked_info_nce,
    chunked_offclip_loss,
    info_nce,
    off_diagonal_loss,
    offclip_loss,
    pair_targets,
    sigmoid_loss,
    supcon_in_loss,
)
from offclip.scores import PairScores
from tests.losses.test_chunked import inputs
from tests.losses.test_losses import batch

IS_NORMAL = torch.tensor([True, True, False, True, False, False, False, True])
NEGATIVES = [(0, 4), (4, 0), (5, 2), (2, 7), (6, 5)]
POSITIVE = (3, 1)  # of two normals
OTHER, WEIGHT = (torch.arange(64).view(8, 8) % each == 3 for each in (7, 5))
CELLS = {"pair_weight": 1.0 - WEIGHT.double(), "ignore": OTHER}

OFF_DIAGONAL = {
    f"{form} {balance} {' '.join(cells)}": lambda s, form=form, balance=balance, cells=cells: (
        off_diagonal_loss(s, IS_NORMAL, form=form, balance=balance, **cells)
    )
    for form in ("bce", "soft_ce")
    for balance in ("none", "classes")
    for cells in ({}, CELLS)
}
WITH_NORMALS = OFF_DIAGONAL | {
    "info_nce of normals": lambda s: info_nce(s, pair_targets(IS_NORMAL)),
    "sigmoid_loss": lambda s: sigmoid_loss(s, pair_targets(IS_NORMAL)),
    "offclip_loss": lambda s: offclip_loss(PairScores(s, s.T), IS_NORMAL).total,
}
DIAGONAL = {
    "info_nce": info_nce,
    "supcon_in_loss": lambda s: supcon_in_loss(s, pair_targets(IS_NORMAL)),
    "carzero_loss": lambda s: carzero_loss(PairScores(s, s.T)),
    "abnormal_info_nce": lambda s: abnormal_info_nce(s, IS_NORMAL),
}
LOSSES = WITH_NORMALS | DIAGONAL


def scores(value, cells):
    logits, _ = batch(4, size=8)
    for cell in cells:
        logits[cell] = value
    return logits.requires_grad_()


@pytest.mark.parametrize("name", LOSSES)
def test_a_negative_is_the_limit_of_low_scores(name):
    low, never = scores(-1e4, NEGATIVES), scores(-math.inf, NEGATIVES)
    expected, loss = LOSSES[name](low), LOSSES[name](never)
    assert loss.isfinite() and torch.equal(loss, expected)
    gradients = [torch.autograd.grad(each, s)[0] for each, s in ((expected, low), (loss, never))]
    assert torch.equal(*gradients) and gradients[1].any()


def test_values_are_pytorchs():
    logits = scores(-math.inf, NEGATIVES).detach()
    pairs, sign = torch.arange(8), 2 * torch.eye(8, dtype=torch.float64) - 1
    expected = (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2
    torch.testing.assert_close(info_nce(logits), expected)
    loss = sigmoid_loss(logits, torch.eye(8))
    torch.testing.assert_close(loss, -logsigmoid(sign * logits).mean())


@pytest.mark.parametrize("name", WITH_NORMALS)
def test_a_positive_costs_everything(name):
    logits = scores(-math.inf, [POSITIVE])
    loss = WITH_NORMALS[name](logits)
    loss.backward()
    assert loss == math.inf and not logits.grad.isnan().any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_whole_row_costs_everything(name):
    for row in (0, 6):
        logits = scores(-math.inf, [(row, column) for column in range(8)])
        if name == "abnormal_info_nce" and row == 0:
            continue
        loss = LOSSES[name](logits)
        loss.backward()
        assert loss == math.inf and not logits.grad.isnan().any()


@pytest.mark.parametrize("loss", [info_nce, supcon_in_loss, sigmoid_loss])
def test_a_row_without_a_positive_may_be_impossible(loss):
    logits = scores(-math.inf, [(0, column) for column in range(8)])
    targets = torch.eye(8).index_fill(0, torch.tensor([0]), 0.0)
    value = loss(logits, targets)
    value.backward()
    assert value.isfinite() and not logits.grad.isnan().any()


@pytest.mark.parametrize("form", ["bce", "soft_ce"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_an_ignored_pair_holds_is_not_seen(form, value):
    ignore = torch.zeros(8, 8, dtype=torch.bool)
    for pair in [*NEGATIVES, POSITIVE]:
        ignore[pair] = True
    plain, spoiled = scores(0.0, []), scores(value, [*NEGATIVES, POSITIVE])
    losses = [off_diagonal_loss(s, IS_NORMAL, form=form, ignore=ignore) for s in (plain, spoiled)]
    losses[1].backward()
    assert torch.equal(*losses) and spoiled.grad.isfinite().all()


def test_ignored_pairs_next_to_the_largest_scores():
    logits = (1e33 * torch.eye(4)).requires_grad_()
    ignore = torch.eye(4).roll(1, 0).bool()
    loss = info_nce(logits, ignore=ignore)
    loss.backward()
    assert loss == 0 and logits.grad.isfinite().all()


@pytest.mark.parametrize("term", ["off_diagonal", "abnormal"])
def test_a_term_of_weight_zero_takes_no_part(term):
    other = {"off_diagonal": "abnormal", "abnormal": "off_diagonal"}[term]
    logits = scores(-math.inf, [POSITIVE if term == "off_diagonal" else (2, 2)])
    loss = offclip_loss(PairScores(logits, logits.T), IS_NORMAL, **{f"{term}_weight": 0.0})
    loss.total.backward()
    assert getattr(loss, term) == 0 and torch.equal(loss.total, getattr(loss, other))
    assert not logits.grad.isnan().any()


def test_a_softmax_in_chunks_does_not_see_a_bias_of_minus_infinity():
    images, texts, scale, _ = leaves = inputs(8, 3, bias=-math.inf)
    for call in (
        chunked_info_nce,
        lambda *each: chunked_offclip_loss(*each, is_normal=IS_NORMAL, form="soft_ce").total,
    ):
        loss = call(*leaves)
        assert torch.equal(loss, call(images, texts, scale))
        assert torch.autograd.grad(loss, leaves[3])[0] == 0


@pytest.mark.parametrize("form", ["bce", "soft_ce"])
def test_scores_that_overflow_downwards_in_chunks(form):
    """Features whose product is below the least float32, at a negative pair."""
    images, texts = torch.eye(3), torch.eye(3)
    images[0, 0], texts[1] = 1e20, torch.tensor([-1e20, 1.0, 0.0])
    leaves = [images.requires_grad_(), texts.requires_grad_()]
    logits = leaves[0] @ leaves[1].T
    assert logits[0, 1] == -math.inf
    flags = torch.tensor([False, False, False])
    chunked = chunked_offclip_loss(*leaves, 1.0, is_normal=flags, form=form, chunk_size=2).total
    plain = offclip_loss(PairScores(logits, logits.T), flags, form=form).total
    torch.testing.assert_close(chunked, plain)
    gradients = [torch.autograd.grad(loss, leaves) for loss in (chunked, plain)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
