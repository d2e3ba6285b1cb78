"""The explorer's numbers come from one source: its module against ``offclip.losses``, to 1e-6."""

import itertools
import math

import pytest
import torch

from offclip.explorer.page import MODULE
from offclip.explorer.widget import LOSSES
from offclip.losses import abnormal_info_nce, off_diagonal_loss, offclip_loss, sigmoid_loss
from offclip.scores import PairScores

# What each loss has to be tried with: form, balance.
OPTIONS = {
    "infonce": [("soft_ce", "none")],
    "siglip": [("bce", "none")],
    "offdiag_bce": [("bce", "none"), ("bce", "classes")],
    "offdiag_soft": [("soft_ce", "none"), ("soft_ce", "classes")],
    "offclip": list(itertools.product(("bce", "soft_ce"), ("none", "classes"))),
}
CASES = [(loss, form, balance) for loss, pairs in OPTIONS.items() for form, balance in pairs]
IN_BROWSER = """async ([source, calls]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const module = await import(url);
  return calls.map(([name, ...values]) => module[name](...values));
}"""


@pytest.fixture(scope="module")
def evaluate(browser):
    """Call exported functions of the module: a list of [name, *arguments] in, results out."""
    page = browser.new_page()
    yield lambda calls: page.evaluate(IN_BROWSER, [MODULE, calls])
    page.close()


def batches(count=12):
    """Scores, flags and cells to ignore: all sizes, all-normal and all-abnormal batches too."""
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        size = 2 + number % 7
        scores = 5 * torch.randn(size, size, generator=generator, dtype=torch.float64)
        share = (0.5, 0.5, 0.0, 1.0)[number % 4]
        is_normal = torch.rand(size, generator=generator) < share
        finding = torch.randint(3, (size,), generator=generator)
        same = (finding[:, None] == finding) & ~is_normal[:, None] & ~is_normal
        ignore = same & ~torch.eye(size, dtype=torch.bool) & (number % 3 > 0)
        yield scores, is_normal, ignore


def reference(loss, form, balance, scores, is_normal, ignore, weights):
    """Total and the two terms of OFF-CLIP (else None), composed of the library's own losses."""
    nothing = torch.zeros_like(is_normal)
    if loss == "infonce":
        return off_diagonal_loss(scores, nothing, form="soft_ce", ignore=ignore), None
    if loss == "siglip":
        return sigmoid_loss(scores, torch.eye(len(scores)), ignore=ignore), None
    off_diagonal = off_diagonal_loss(scores, is_normal, form=form, balance=balance, ignore=ignore)
    if loss != "offclip":
        return off_diagonal, None
    abnormal = abnormal_info_nce(scores, is_normal)
    if ignore.any():  # the library's abnormal term knows no ignored cells: its general form does
        chosen = (~is_normal).nonzero().squeeze(1)
        inner, hidden = scores[chosen][:, chosen], ignore[chosen][:, chosen]
        abnormal = off_diagonal_loss(inner, nothing[chosen], form="soft_ce", ignore=hidden)
    else:
        pair = PairScores(scores, scores.T)
        keys = dict(zip(("off_diagonal_weight", "abnormal_weight"), weights, strict=True))
        whole = offclip_loss(pair, is_normal, form=form, balance=balance, **keys)
        return whole.total, (whole.off_diagonal, whole.abnormal)
    terms = (weights[0] * off_diagonal, weights[1] * abnormal)
    return terms[0] + terms[1], terms


def test_the_two_sides_name_the_same_losses(browser):
    page = browser.new_page()
    names = page.evaluate(
        "async (source) => Object.keys((await import(URL.createObjectURL("
        "new Blob([source], { type: 'text/javascript' })))).LOSSES)",
        MODULE,
    )
    page.close()
    assert sorted(names) == sorted(LOSSES) == sorted(OPTIONS)


@pytest.mark.parametrize(("loss", "form", "balance"), CASES)
def test_value_gradient_and_terms(evaluate, loss, form, balance):
    weights = (0.7, 1.9)
    options = {"loss": loss, "form": form, "balance": balance}
    options |= {"offDiagonalWeight": weights[0], "abnormalWeight": weights[1]}
    drawn = list(batches())
    calls = [["lossOf", s.tolist(), n.tolist(), g.tolist(), options] for s, n, g in drawn]
    for (scores, is_normal, ignore), ours in zip(drawn, evaluate(calls), strict=True):
        scores = scores.clone().requires_grad_()
        total, terms = reference(loss, form, balance, scores, is_normal, ignore, weights)
        total.backward()
        near = {"rel": 1e-6, "abs": 1e-6}
        assert ours["value"] == pytest.approx(total.item(), **near)
        gradient = torch.tensor(ours["gradient"], dtype=torch.float64)
        torch.testing.assert_close(gradient, scores.grad, rtol=1e-6, atol=1e-6)
        assert sum(part["value"] for part in ours["parts"]) == pytest.approx(ours["value"])
        if terms is not None:
            parts = [part["value"] for part in ours["parts"]]
            assert parts == pytest.approx([term.item() for term in terms], **near)
        assert ours["floor"] <= ours["value"] + 1e-12


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_scores_stay_finite(evaluate, value):
    scores = [[value, -value, 0.0], [0.0, value, -value], [-value, value, value]]
    none = [[False] * 3] * 3
    weights = {"offDiagonalWeight": 1, "abnormalWeight": 1}
    for loss, form, balance in CASES:
        options = {"loss": loss, "form": form, "balance": balance} | weights
        (ours,) = evaluate([["lossOf", scores, [True, False, False], none, options]])
        gradient = torch.tensor(ours["gradient"])
        assert math.isfinite(ours["value"]) and gradient.isfinite().all(), (loss, form, balance)


def test_floor_is_k_log_k_over_n(evaluate):
    """Scores that answer the soft targets exactly cost the entropy of the targets, no less."""
    flags = [True, True, True, False]
    block = [[60.0 * (i == j or (i < 3 and j < 3)) for j in range(4)] for i in range(4)]
    options = {"loss": "offdiag_soft", "form": "soft_ce", "balance": "none"}
    (ours,) = evaluate([["lossOf", block, flags, [[False] * 4] * 4, options]])
    expected = 3 * torch.tensor(3.0, dtype=torch.float64).log().item() / 4
    assert ours["floor"] == pytest.approx(expected)
    assert ours["value"] == pytest.approx(expected)


def test_gradient_of_the_angles(evaluate):
    generator = torch.Generator().manual_seed(1)
    angles = 6.0 * torch.rand(2, 5, generator=generator, dtype=torch.float64)
    images, texts = (row.clone().requires_grad_() for row in angles)
    is_normal = torch.tensor([True, True, False, False, True])
    scores = 7.0 * torch.cos(images[:, None] - texts) - 2.0
    off_diagonal_loss(scores, is_normal, form="bce").backward()
    options = {"loss": "offdiag_bce", "balance": "none"}
    none = [[False] * 5] * 5
    (loss,) = evaluate([["lossOf", scores.tolist(), is_normal.tolist(), none, options]])
    arguments = [*angles.tolist(), loss["gradient"], 7.0]
    cosines, turn = evaluate([["cosinesOf", *angles.tolist()], ["angleGradient", *arguments]])
    assert cosines == [pytest.approx(row) for row in ((scores + 2) / 7).tolist()]
    assert turn["images"] == pytest.approx(images.grad.tolist(), abs=1e-9)
    assert turn["texts"] == pytest.approx(texts.grad.tolist(), abs=1e-9)
