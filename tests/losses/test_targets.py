"""Target matrices: loops from the definitions, normals, order, and their softmax."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import (
    info_nce,
    jaccard_targets,
    pair_targets,
    same_findings_targets,
    semantic_targets,
)
from tests.losses import oracles

ROWS = st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=7)


def sets(rows):
    return [{label for label, there in enumerate(row) if there} for row in rows]


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_label_targets_equal_their_loops(rows):
    found, findings = sets(rows), torch.tensor(rows)
    same = [[float(a == b) for b in found] for a in found]
    jaccard = [[len(a & b) / len(a | b) if a | b else 1.0 for b in found] for a in found]
    assert same_findings_targets(findings).tolist() == same
    assert jaccard_targets(findings).tolist() == [pytest.approx(row) for row in jaccard]


def test_a_worked_batch():
    """Normal, effusion, effusion and edema, normal, effusion."""
    findings = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 0], [1, 0]]).bool()
    assert same_findings_targets(findings).tolist() == [
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1],
    ]
    assert jaccard_targets(findings).tolist() == [
        [1, 0, 0, 1, 0],
        [0, 1, 0.5, 0, 1],
        [0, 0.5, 1, 0, 0.5],
        [1, 0, 0, 1, 0],
        [0, 1, 0.5, 0, 1],
    ]


@pytest.mark.parametrize("flags", [[True], [True] * 3, [False] * 3, [True, False, True]])
def test_one_finding_each_gives_the_targets_of_offclip(flags):
    is_normal = torch.tensor(flags)
    findings = torch.eye(len(flags)).bool() & ~is_normal[:, None]
    for targets in (same_findings_targets(findings), jaccard_targets(findings)):
        torch.testing.assert_close(targets, pair_targets(is_normal), atol=0, rtol=0)


@settings(deadline=None, max_examples=20)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_batch_does_not_matter(rows, random):
    findings = torch.tensor(rows)
    order = torch.tensor(random.sample(range(len(rows)), len(rows)))
    for make in (same_findings_targets, jaccard_targets):
        torch.testing.assert_close(make(findings[order]), make(findings)[order][:, order])


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_semantic_targets_become_the_softmax_over_rows_and_over_columns(temperature):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    texts = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    targets = semantic_targets(images, texts, temperature=temperature)
    cosine = torch.nn.functional.cosine_similarity(images[:, None], texts[None], dim=2)
    for dim in (0, 1):
        torch.testing.assert_close(
            targets / targets.sum(dim, keepdim=True), (cosine / temperature).softmax(dim)
        )
    assert targets.dtype == torch.float64 and targets.max() <= 1


def test_semantic_targets_of_labels():
    """Cosines of {effusion}, {effusion, edema} and no label, as the docstring says."""
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    half = math.exp(math.sqrt(0.5) - 1)
    nothing = math.exp(-1)
    expected = [
        [1, half, nothing, nothing],
        [half, 1, nothing, nothing],
        [nothing, nothing, 1, 1],
        [nothing, nothing, 1, 1],
    ]
    targets = semantic_targets(labels, labels)
    torch.testing.assert_close(targets, torch.tensor(expected))
    cold = semantic_targets(labels, labels, temperature=0.01)
    torch.testing.assert_close(cold, same_findings_targets(labels.bool()), atol=1e-4, rtol=0)
    default = semantic_targets(labels, labels, temperature=1.0)
    torch.testing.assert_close(targets, default, atol=0, rtol=0)


def test_semantic_targets_carry_no_gradient_and_are_made_in_float32():
    features = torch.randn(3, 4, requires_grad=True)
    assert not semantic_targets(features, features).requires_grad
    half = semantic_targets(features.bfloat16(), features.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, semantic_targets(features, features), atol=0.02, rtol=0)


@settings(deadline=None, max_examples=20)
@given(ROWS, st.integers(0, 10**6))
def test_info_nce_with_soft_targets_equals_the_loop(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    findings = torch.tensor(rows)
    logits = 3 * torch.randn(len(rows), len(rows), generator=generator, dtype=torch.float64)
    labels = findings.double()
    for targets in (jaccard_targets(findings), semantic_targets(labels, labels)):
        loss = oracles.info_nce(logits.tolist(), targets.tolist())
        assert info_nce(logits, targets).item() == pytest.approx(loss, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match="temperature: expected a number > 0, got"):
        semantic_targets(torch.ones(1, 1), torch.ones(1, 1), temperature=temperature)
