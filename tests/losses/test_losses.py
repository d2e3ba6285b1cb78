"""Every loss against its equation in loops, closed forms, symmetries and edge cases."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import (
    OffClipCriterion,
    abnormal_info_nce,
    carzero_loss,
    chunked_info_nce,
    chunked_off_diagonal_loss,
    chunked_offclip_loss,
    gloria_local_loss,
    info_nce,
    medclip_loss,
    off_diagonal_loss,
    offclip_loss,
    pair_targets,
    sigmoid_loss,
    supcon_in_loss,
    tier_penalty,
)
from offclip.scores import PairScores
from offclip.training import TrainConfig
from tests.losses import oracles

FORMS = ("bce", "soft_ce")


def batch(seed, size=None, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    size = size or int(torch.randint(1, 9, (), generator=generator))
    logits = scale * torch.randn(size, size, generator=generator, dtype=torch.float64)
    return logits, torch.rand(size, generator=generator) < 0.5


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_each_loss_equals_its_loop(seed):
    logits, is_normal = batch(seed)
    n = len(logits)
    generator = torch.Generator().manual_seed(seed + 1)
    weight = torch.rand(n, n, generator=generator, dtype=torch.float64)
    ignore = torch.rand(n, n, generator=generator) < 0.3
    s, normal = logits.tolist(), is_normal.tolist()
    targets = oracles.pair_targets(normal)
    identity = oracles.pair_targets([False] * n)
    abnormal = [i for i in range(n) if not normal[i]]
    inner = [[s[i][j] for j in abnormal] for i in abnormal]
    weighted = [
        [t * w for t, w in zip(*rows, strict=True)]
        for rows in zip(targets, weight.tolist(), strict=True)
    ]
    expected = {
        "targets": (pair_targets(is_normal), targets),
        "info_nce": (info_nce(logits), oracles.info_nce(s, identity)),
        "multi": (info_nce(logits, pair_targets(is_normal)), oracles.info_nce(s, targets)),
        "sigmoid": (
            sigmoid_loss(logits, pair_targets(is_normal), pair_weight=weight, ignore=ignore),
            oracles.sigmoid(s, targets, weight.tolist(), ignore.tolist()),
        ),
        "bce": (off_diagonal_loss(logits, is_normal, form="bce"), oracles.sigmoid(s, targets)),
        "soft": (
            off_diagonal_loss(logits, is_normal, form="soft_ce", pair_weight=weight, ignore=ignore),
            oracles.info_nce(s, weighted, ignore.tolist()),
        ),
        "abnormal": (
            abnormal_info_nce(logits, is_normal),
            oracles.info_nce(inner, oracles.pair_targets([False] * len(inner)))
            if len(inner) > 1
            else 0.0,
        ),
    }
    for name, (ours, oracle) in expected.items():
        oracle = torch.as_tensor(oracle, dtype=torch.float64)
        torch.testing.assert_close(ours.double(), oracle, atol=1e-9, rtol=1e-9, msg=name)


def test_classes_balance_gives_each_kind_half():
    logits, _ = batch(3, size=6)
    is_normal = torch.tensor([True, True, False, False, False, False])
    targets = pair_targets(is_normal).bool()
    cells = torch.nn.functional.softplus(torch.where(targets, -logits, logits))
    balanced = off_diagonal_loss(logits, is_normal, form="bce", balance="classes")
    assert balanced.item() == pytest.approx(
        (cells[targets].mean() + cells[~targets].mean()).item() / 2
    )
    halves = []
    for rows, wanted in ((logits, targets.double()), (logits.T, targets.T.double())):
        wanted = wanted / wanted.sum(1, keepdim=True)
        losses = -(wanted * rows.log_softmax(1)).sum(1)
        halves.append((losses[:2].mean() + losses[2:].mean()) / 2)
    balanced = off_diagonal_loss(logits, is_normal, form="soft_ce", balance="classes")
    assert balanced.item() == pytest.approx(sum(halves).item() / 2)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_equal_scores_cost_log_batch_size(size):
    assert info_nce(torch.zeros(size, size)).item() == pytest.approx(math.log(size), abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 8])
def test_k_interchangeable_normals_have_a_floor_of_log_k(k):
    """Perfect scores for k identical normals: the identity target cannot go below log k."""
    block = torch.full((k, k), 50.0, dtype=torch.float64)
    assert info_nce(block).item() == pytest.approx(math.log(k))
    scores = PairScores(block, block)
    assert offclip_loss(scores, torch.ones(k, dtype=torch.bool), form="bce").total < 1e-9
    alone = torch.full((k + 1, k + 1), -50.0, dtype=torch.float64)
    alone[:k, :k], alone[k, k] = 50.0, 50.0
    soft = off_diagonal_loss(alone, torch.arange(k + 1) < k, form="soft_ce")
    assert soft.item() == pytest.approx(k * math.log(k) / (k + 1))
    assert off_diagonal_loss(alone, torch.arange(k + 1) < k, form="bce") < 1e-9


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("balance", ["none", "classes"])
def test_order_of_the_batch_does_not_matter(form, balance):
    logits, is_normal = batch(5, size=7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    plain = off_diagonal_loss(logits, is_normal, form=form, balance=balance)
    shuffled = off_diagonal_loss(
        logits[order][:, order], is_normal[order], form=form, balance=balance
    )
    assert plain.item() == pytest.approx(shuffled.item())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flags", [[True] * 4, [False] * 4, [True, False, False, False], [True]])
def test_gradients(form, flags):
    is_normal = torch.tensor(flags)
    logits = batch(11, size=len(flags))[0].requires_grad_()

    def total(s):
        return offclip_loss(PairScores(s, s.T * 0.5), is_normal, form=form).total

    assert torch.autograd.gradcheck(total, (logits,))


def test_gradient_of_info_nce_is_softmax_minus_target():
    logits = batch(2, size=5)[0].requires_grad_()
    info_nce(logits).backward()
    expected = (logits.softmax(1) + logits.softmax(0) - 2 * torch.eye(5)) / 10
    torch.testing.assert_close(logits.grad, expected.detach())


def test_no_abnormal_pair_gives_a_differentiable_zero():
    for flags in ([True, True, True], [True, False, True]):
        logits = torch.randn(3, 3, requires_grad=True)
        loss = abnormal_info_nce(logits, torch.tensor(flags))
        loss.backward()
        assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("value", [1e4, -1e4])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_scores_stay_finite(value, form):
    logits = (value * torch.sign(torch.randn(6, 6))).requires_grad_()
    is_normal = torch.tensor([True, True, True, False, False, False])
    loss = offclip_loss(PairScores(logits, logits.T), is_normal, form=form).total
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_everything_ignored_is_a_differentiable_zero(form):
    logits = torch.randn(3, 3, requires_grad=True)
    everything = torch.ones(3, 3, dtype=torch.bool)
    loss = off_diagonal_loss(
        logits, torch.tensor([True, False, True]), form=form, ignore=everything
    )
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_is_computed_in_float32(form):
    logits, is_normal = batch(8, size=32)
    half = logits.bfloat16()
    scores = PairScores(half, half.T)
    loss = offclip_loss(scores, is_normal, form=form).total
    exact = offclip_loss(PairScores(half.double(), half.double().T), is_normal, form=form).total
    assert loss.dtype == torch.float32 and exact.dtype == torch.float64
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_terms_are_weighted_and_add_up():
    logits, is_normal = batch(9, size=8)
    scores = PairScores(logits, logits.T + 1)
    loss = offclip_loss(scores, is_normal, off_diagonal_weight=2.0, abnormal_weight=0.5)
    plain = offclip_loss(scores, is_normal)
    assert loss.off_diagonal.item() == pytest.approx(2 * plain.off_diagonal.item())
    assert loss.abnormal.item() == pytest.approx(plain.abnormal.item() / 2)
    assert loss.total.item() == pytest.approx((loss.off_diagonal + loss.abnormal).item())


@pytest.mark.parametrize(
    "call",
    [
        off_diagonal_loss,
        offclip_loss,
        chunked_off_diagonal_loss,
        chunked_offclip_loss,
        OffClipCriterion,
        TrainConfig,
    ],
)
def test_soft_targets_are_the_default_everywhere(call):
    assert inspect.signature(call).parameters["form"].default == "soft_ce"


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: info_nce(torch.zeros(2, 3)), "logits: expected a square .* one$"),
        (lambda: info_nce(torch.zeros(2, 2), torch.zeros(2, 3)), "targets"),
        (lambda: off_diagonal_loss(torch.zeros(2, 2), torch.tensor([1, 0])), "is_normal"),
        (lambda: off_diagonal_loss(torch.zeros(2, 2), torch.tensor([True])), "is_normal"),
        (
            lambda: off_diagonal_loss(torch.zeros(1, 1), torch.tensor([True]), form="mse"),
            "form: expected 'bce' or 'soft_ce', got 'mse'",
        ),
        (
            lambda: off_diagonal_loss(torch.zeros(1, 1), torch.tensor([True]), balance="x"),
            "balance: expected 'none' or 'classes', got 'x'",
        ),
        (
            lambda: offclip_loss(
                PairScores(torch.zeros(1, 1), torch.zeros(1, 1)),
                torch.tensor([True]),
                abnormal_weight=-1.0,
            ),
            "abnormal_weight: expected a number >= 0, got -1.0",
        ),
        (
            lambda: offclip_loss(
                PairScores(torch.zeros(1, 1), torch.zeros(1, 1)),
                torch.tensor([True]),
                off_diagonal_weight=-1.0,
            ),
            "off_diagonal_weight: expected a number >= 0, got -1.0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


EMPTY, WHOLE = torch.zeros(0, 0), torch.ones(2, 2, dtype=torch.long)
BY_SCORES = {
    "info_nce": lambda s, _: info_nce(s),
    "info_nce to targets": lambda s, _: info_nce(s, s.float()),
    "sigmoid_loss": lambda s, _: sigmoid_loss(s, s.float()),
    "supcon_in_loss": lambda s, _: supcon_in_loss(s, s.float()),
    "medclip_loss": lambda s, _: medclip_loss(s, s.float(), s.float()),
    "carzero_loss": lambda s, _: carzero_loss(PairScores(s, s)),
    "bce": lambda s, flags: off_diagonal_loss(s, flags, form="bce"),
    "soft_ce": lambda s, flags: off_diagonal_loss(s, flags, form="soft_ce"),
    "abnormal_info_nce": abnormal_info_nce,
    "offclip_loss": lambda s, flags: offclip_loss(PairScores(s, s), flags),
}
BY_FEATURES = {
    "image_features": lambda s, _: chunked_info_nce(s, s, 1.0),
    "patch_features": lambda s, _: gloria_local_loss(s[:, None], s[:, None]),
    "cosines": lambda s, _: tier_penalty(s[:, None], words_weight=1.0, patches_weight=1.0),
}
CASES = [("logits", call) for call in BY_SCORES.values()] + list(BY_FEATURES.items())


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(("name", "call"), CASES, ids=[*BY_SCORES, *BY_FEATURES])
def test_empty_batches_and_whole_numbers_are_named(name, call):
    for normal in (True, False):
        flags = torch.full((2,), normal)
        with pytest.raises(ValueError, match=f"^{name}: expected at least one pair, got shape"):
            call(EMPTY, flags[:0])
        message = f"^{name}: expected floating-point numbers, got torch.int64; convert it with"
        with pytest.raises(ValueError, match=message):
            call(WHOLE, flags)
