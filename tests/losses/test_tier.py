"""TIER's penalty: the equation, its bounds, the mask."""

import math

import pytest
import torch

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
    assert masked.item() == pytest.approx(cut.item())
    masked.backward()
    assert not cosines.grad[:, 3:].any()


def test_bad_temperature():
    with pytest.raises(ValueError, match="temperature"):
        tier_penalty(torch.zeros(1, 2, 2), words_weight=1.0, patches_weight=1.0, temperature=0.0)
