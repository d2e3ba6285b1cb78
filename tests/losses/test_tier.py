"""TIER's penalty: the equation, its bounds, the mask."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import tier_penalty


def entropies(cosines, temperature=1.0):
    """Loop oracle: mean entropy over patches of tokens, mean entropy over tokens of patches."""
    words, patches = [], []
    for matrix in (cosines / temperature).tolist():
        for rows, out in ((matrix, words), (list(zip(*matrix, strict=True)), patches)):
            for row in rows:
                total = sum(math.exp(v) for v in row)
                out.append(
                    -sum(
                        (math.exp(v) / total + 1e-7) * math.log(math.exp(v) / total + 1e-7)
                        for v in row
                    )
                )
    return sum(words) / len(words), sum(patches) / len(patches)


def test_equals_the_loop_and_the_temperature_sharpens():
    cosines = torch.rand(3, 4, 6, dtype=torch.float64) * 2 - 1
    for temperature in (1.0, 0.1):
        words, patches = entropies(cosines, temperature)
        ours = tier_penalty(cosines, words_weight=0.3, patches_weight=0.7, temperature=temperature)
        assert ours.item() == pytest.approx(0.3 * words + 0.7 * patches)


def test_uniform_similarities_have_the_entropy_of_their_count():
    flat = torch.zeros(2, 5, 9, dtype=torch.float64)
    words = tier_penalty(flat, words_weight=1.0, patches_weight=0.0)
    patches = tier_penalty(flat, words_weight=0.0, patches_weight=1.0)
    assert words.item() == pytest.approx(math.log(9), abs=1e-5)
    assert patches.item() == pytest.approx(math.log(5), abs=1e-5)


def test_masked_tokens_count_nowhere():
    cosines = torch.rand(2, 5, 9, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False, False]] * 2)
    masked = tier_penalty(cosines, words_weight=1.0, patches_weight=1.0, token_mask=mask)
    cut = tier_penalty(cosines[:, :3], words_weight=1.0, patches_weight=1.0)
    assert masked.item() == pytest.approx(cut.item(), rel=1e-12)
    masked.backward()
    assert not cosines.grad[:, 3:].any()


@pytest.mark.usefixtures("plain_calls")
def test_bad_input_is_named():
    weights = {"words_weight": 1.0, "patches_weight": 1.0}
    with pytest.raises(ValueError, match="^temperature: expected a number > 0, got 0.0"):
        tier_penalty(torch.zeros(1, 2, 2), temperature=0.0, **weights)
    with pytest.raises(ValueError, match="^token_mask: expected shape \\(1, 2\\), got \\(3,\\)$"):
        tier_penalty(torch.zeros(1, 2, 2), token_mask=torch.ones(3).bool(), **weights)


def test_half_precision_is_computed_in_float32():
    cosines = (torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1).bfloat16()
    loss = tier_penalty(cosines, words_weight=1.0, patches_weight=1.0)
    exact = tier_penalty(cosines.double(), words_weight=1.0, patches_weight=1.0)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_gradients():
    cosines = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.autograd.gradcheck(
        lambda c: tier_penalty(c, words_weight=0.5, patches_weight=2.0, token_mask=mask), (cosines,)
    )


def test_the_default_temperature_is_the_original_of_one():
    cosines = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(2, 3, 4)
    weights = {"words_weight": 0.5, "patches_weight": 2.0}
    assert tier_penalty(cosines, **weights) == tier_penalty(cosines, temperature=1.0, **weights)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
    st.floats(0.05, 2.0),
    st.integers(0, 10_000),
)
def test_random_shapes_against_the_loop_and_the_bounds(shape, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    cosines = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    words, patches = entropies(cosines, temperature)
    ours = [
        tier_penalty(cosines, words_weight=w, patches_weight=p, temperature=temperature).item()
        for w, p in ((1.0, 0.0), (0.0, 1.0))
    ]
    assert ours == pytest.approx([words, patches], abs=1e-9)
    assert -1e-5 <= ours[0] <= math.log(shape[2]) + 1e-5
    assert -1e-5 <= ours[1] <= math.log(shape[1]) + 1e-5


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_similarities_have_no_entropy_and_finite_gradients(value):
    cosines = torch.zeros(1, 3, 4, dtype=torch.float64)
    cosines[0].diagonal().fill_(value)
    cosines.requires_grad_()
    loss = tier_penalty(cosines, words_weight=1.0, patches_weight=1.0)
    loss.backward()
    assert loss.isfinite() and cosines.grad.isfinite().all()
