"""Target matrices: which image-text cells of a batch are positives, and by how much.

A finding set without a finding is the set of a normal study. Two such sets are equal, so normal
studies are positives of each other here, as in :func:`pair_targets`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from offclip.losses._checks import check_positive
from offclip.scores import full_precision, no_autocast


def pair_targets(is_normal: Bool[Tensor, " batch"]) -> Float[Tensor, "batch batch"]:
    """OFF-CLIP's target matrix: 1 on the diagonal and on every normal×normal cell, else 0.

    ``Y[i, j] = 1 if i == j or (is_normal[i] and is_normal[j])``. Source: the target matrix in
    the figure of the OFF-CLIP paper (Park et al., MICCAI 2025).

    Args:
        is_normal: one flag a study of the batch; images and texts are paired by position.

    Returns:
        Symmetric matrix of zeros and ones in float32, images in rows, texts in columns.
    """
    diagonal = torch.eye(len(is_normal), dtype=torch.bool, device=is_normal.device)
    return (diagonal | (is_normal[:, None] & is_normal[None, :])).float()


def same_findings_targets(
    findings: Bool[Tensor, "batch label"],
) -> Float[Tensor, "batch batch"]:
    """1 where two studies have exactly the same findings, else 0.

    ``Y[i, j] = 1 if findings[i] == findings[j]`` in every label. This is :func:`pair_targets`
    with equal abnormal studies as positives too.

    Args:
        findings: multi-hot labels, one row a study. A row without a finding is a normal study.
            An unknown label is not a False: drop its column, or ignore the cells it touches.

    Returns:
        Symmetric matrix of zeros and ones in float32, ones on the diagonal.
    """
    return (findings[:, None, :] == findings[None, :, :]).all(dim=2).float()


def jaccard_targets(findings: Bool[Tensor, "batch label"]) -> Float[Tensor, "batch batch"]:
    r"""Shared findings as a part of all findings of two studies.

    .. math:: Y_{ij} = |F_i \cap F_j| \,/\, |F_i \cup F_j|, \qquad Y_{ij} = 1
        \text{ if } F_i = F_j = \emptyset

    It is 1 where :func:`same_findings_targets` is, and 0 where nothing is shared.

    Args:
        findings: multi-hot labels, one row a study. A row without a finding is a normal study. It
            is like every other normal study, and like no abnormal one.

    Returns:
        Symmetric matrix in float32, values in [0, 1], ones on the diagonal.
    """
    counts = findings.float()
    with no_autocast(counts):
        shared = counts @ counts.T
    sizes = counts.sum(dim=1)
    union = sizes[:, None] + sizes[None, :] - shared
    return torch.where(union > 0, shared / union.clamp(min=1), 1.0)


def semantic_targets(
    image_semantics: Float[Tensor, "image feature"],
    text_semantics: Float[Tensor, "text feature"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "image text"]:
    r"""Soft targets from the likeness of what images and texts say.

    .. math:: Y_{ij} = \exp\left( (\cos(u_i, v_j) - 1) / \tau \right)

    :func:`offclip.losses.info_nce` normalises targets to sum 1 in each row, and in each column for
    the column part. After that these are the softmax of the cosines over the row, and over the
    column. Source: MedCLIP (Wang et al. 2022), whose vectors are multi-hot labels and whose
    softmax has no temperature, so that even unlike pairs get a good share of the target. The
    published code clamps the plain dot product to [0, 1] instead of dividing by the norms.

    Args:
        image_semantics: a vector for each image: its labels as floats, or an embedding of its
            report by a text model that is not trained here. Any length.
        text_semantics: a vector for each text, in the same space. For text similarity in a paired
            batch give the same matrix twice.
        temperature: positive; small values come near to :func:`same_findings_targets`.

    Returns:
        Matrix in the dtype of the vectors (float32 for half precision), values in (0, 1], without
        gradient. A vector of zeros (no label) has cosine 1 with another one, and 0 with the rest.

    Raises:
        ValueError: the temperature is not positive.
    """
    check_positive("temperature", temperature)
    images, texts = (_directions(each.detach()) for each in (image_semantics, text_semantics))
    with no_autocast(images):
        cosines = images @ texts.T
    return ((cosines - 1) / temperature).exp()


def _directions(vectors: Tensor) -> Tensor:
    """Unit vectors, with an axis of its own for the zero vector."""
    vectors = full_precision(vectors)
    empty = ~vectors.any(dim=1, keepdim=True)
    return normalize(torch.cat([vectors, empty], dim=1), dim=1)
