"""TIER's entropy regulariser on token-patch similarities."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offclip.losses._checks import check_numbers, check_positive
from offclip.scores import full_precision

EPSILON = 1e-7


def tier_penalty(
    cosines: Float[Tensor, "pair token patch"],
    *,
    words_weight: float,
    patches_weight: float,
    token_mask: Bool[Tensor, "pair token"] | None = None,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Entropy of where each word looks and of which words each patch answers to.

    .. math::
        \lambda_w \, \overline{H\!\left(\mathrm{softmax}_p (C_{tp}/\tau)\right)}
        + \lambda_p \, \overline{H\!\left(\mathrm{softmax}_t (C_{tp}/\tau)\right)},
        \qquad H(p) = -\sum (p + \epsilon) \log (p + \epsilon)

    Source: Palepu and Beam 2023, ``Modeling/utils.py`` (epsilon :math:`10^{-7}`, means over tokens
    or patches and over the batch). Deviations, ours: ``token_mask`` leaves out padding, which the
    original counts as words; ``temperature`` sharpens the softmax, without which the entropy of
    cosines can hardly move.

    Args:
        cosines: similarities of the tokens and patches of each *paired* image and text, in [-1, 1].
        words_weight: factor of the entropy over patches of each token.
        patches_weight: factor of the entropy over tokens of each patch.
        token_mask: True for real tokens; default: all. A pair needs at least one.
        temperature: positive.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: a temperature that is not positive, a mask of the wrong shape, or cosines that
            are empty or whole numbers.
    """
    check_numbers("cosines", cosines)
    check_positive("temperature", temperature)
    if token_mask is None:
        token_mask = torch.ones(cosines.shape[:2], dtype=torch.bool, device=cosines.device)
    if token_mask.shape != cosines.shape[:2]:
        raise ValueError(
            f"token_mask: expected shape {tuple(cosines.shape[:2])}, got {tuple(token_mask.shape)}"
        )
    logits = full_precision(cosines) / temperature
    over_patches = _entropy(logits.softmax(dim=2), dim=2)
    words = over_patches[token_mask].mean()
    masked = logits.masked_fill(~token_mask[:, :, None], torch.finfo(logits.dtype).min)
    over_tokens = masked.softmax(dim=1)
    patches = _entropy(over_tokens, dim=1, mask=token_mask[:, :, None]).mean()
    return words_weight * words + patches_weight * patches


def _entropy(probabilities: Tensor, dim: int, mask: Tensor | None = None) -> Tensor:
    shifted = probabilities + EPSILON
    terms = shifted * shifted.log()
    if mask is not None:
        terms = terms * mask
    return -terms.sum(dim=dim)
