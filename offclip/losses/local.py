"""GLoRIA's local loss: words look at image regions, and each pair gets a score from that."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from offclip.losses._checks import check_numbers, check_positive
from offclip.losses.cross_entropy import info_nce
from offclip.scores import full_precision, no_autocast


def local_scores(
    patch_features: Float[Tensor, "image patch dim"],
    token_features: Float[Tensor, "text token dim"],
    *,
    token_mask: Bool[Tensor, "text token"] | None = None,
    attention_sharpness: float = 4.0,
    word_sharpness: float = 5.0,
    pair_sharpness: float = 10.0,
) -> Float[Tensor, "image text"]:
    r"""Score of every image with every text from what each word sees in the image.

    For image :math:`i`, text :math:`j`, its words :math:`w_t` and the regions :math:`v_p`,

    .. math::
        s_{tp} = \operatorname{softmax}_t(w_t \cdot v_p), \qquad
        c_t = \sum_p \operatorname{softmax}_p(\gamma_1 s_{tp}) \, v_p, \qquad
        S_{ij} = \gamma_3 \log \sum_t \exp\left( \gamma_2 \cos(c_t, w_t) \right)

    Source: GLoRIA (Huang et al. 2021), equations and defaults as in ``gloria/loss/gloria_loss.py``
    of the published code, sum over words. Deviations: padding is masked with ``token_mask`` (the
    published code cuts each text at its length, which is the same for padding at its end).

    Args:
        patch_features: regions of each image, of any length.
        token_features: words of each text, in the same space.
        token_mask: True for real words; default: all. A text needs at least one.
        attention_sharpness: :math:`\gamma_1`, positive.
        word_sharpness: :math:`\gamma_2`, positive.
        pair_sharpness: :math:`\gamma_3`, positive.

    Returns:
        Logits; half precision is computed in float32. The memory needed is that of
        image × text × token × patch numbers.

    Raises:
        ValueError: a sharpness that is not positive, a mask of the wrong shape, a text without
            words, features that are empty or whole numbers.
    """
    check_numbers("patch_features", patch_features)
    check_numbers("token_features", token_features)
    check_positive("attention_sharpness", attention_sharpness)
    check_positive("word_sharpness", word_sharpness)
    check_positive("pair_sharpness", pair_sharpness)
    patches, words = full_precision(patch_features), full_precision(token_features)
    if token_mask is None:
        token_mask = torch.ones(words.shape[:2], dtype=torch.bool, device=words.device)
    if token_mask.shape != words.shape[:2]:
        raise ValueError(
            f"token_mask: expected shape {tuple(words.shape[:2])}, got {tuple(token_mask.shape)}"
        )
    if not token_mask.any(dim=1).all():
        raise ValueError("token_mask: expected a real word in every text, got a text without one")
    with no_autocast(words):
        similarity = torch.einsum("ipd,jtd->ijtp", patches, words)
    least = torch.finfo(similarity.dtype).min
    over_words = similarity.masked_fill(~token_mask[None, :, :, None], least).softmax(dim=2)
    attention = (attention_sharpness * over_words).softmax(dim=3)
    with no_autocast(words):
        context = torch.einsum("ijtp,ipd->ijtd", attention, patches)
    cosine = (normalize(context, dim=3) * normalize(words, dim=2)).sum(dim=3)
    cosine = (word_sharpness * cosine).masked_fill(~token_mask, least)
    return pair_sharpness * cosine.logsumexp(dim=2)


def gloria_local_loss(
    patch_features: Float[Tensor, "batch patch dim"],
    token_features: Float[Tensor, "batch token dim"],
    *,
    token_mask: Bool[Tensor, "batch token"] | None = None,
    attention_sharpness: float = 4.0,
    word_sharpness: float = 5.0,
    pair_sharpness: float = 10.0,
) -> Float[Tensor, ""]:
    """:func:`info_nce` of :func:`local_scores`, images and texts paired by position.

    Source: GLoRIA (Huang et al. 2021). Deviation: the mean of the two directions, which the
    published code adds. The scores can go into any other loss of this package as well.

    Args:
        patch_features: regions of each image.
        token_features: words of the text of each image.
        token_mask: True for real words; default: all.
        attention_sharpness: see :func:`local_scores`.
        word_sharpness: see :func:`local_scores`.
        pair_sharpness: see :func:`local_scores`.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: as :func:`local_scores`, or the numbers of images and texts differ.
    """
    scores = local_scores(
        patch_features,
        token_features,
        token_mask=token_mask,
        attention_sharpness=attention_sharpness,
        word_sharpness=word_sharpness,
        pair_sharpness=pair_sharpness,
    )
    return info_nce(scores)
