"""The values that the published code of CARZero and TIER gives."""

import re

import numpy as np
import pytest
import torch

from offclip.losses import info_nce, tier_penalty
from tests.paths import golden


@pytest.fixture(scope="module")
def published():
    return np.load(golden("losses.npz"))


@pytest.mark.parametrize("size", [2, 5, 16])
def test_carzero_symmetric_cross_entropy(published, size):
    logits = torch.from_numpy(published[f"logits_{size}"])
    assert info_nce(logits).item() == pytest.approx(float(published[f"carzero_loss_{size}"]))


def test_tier_penalties(published):
    names = [name for name in published.files if name.startswith("tier_penalty")]
    assert len(names) == 6
    for name in names:
        case, words, patches = re.fullmatch(
            r"tier_penalty_(\d)_words(.+)_patches(.+)", name
        ).groups()
        cosines = torch.from_numpy(published[f"tier_cosines_{case}"])
        ours = tier_penalty(cosines, words_weight=float(words), patches_weight=float(patches))
        assert ours.item() == pytest.approx(float(published[name]), rel=1e-7)
