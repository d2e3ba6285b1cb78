"""Target matrices: which image-text cells of a batch are positives."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def pair_targets(is_normal: Bool[Tensor, " batch"]) -> Float[Tensor, "batch batch"]:
    """OFF-CLIP's target matrix: 1 on the diagonal and on every normal×normal cell, else 0.

    ``T[i, j] = 1 if i == j or (is_normal[i] and is_normal[j])``. Source: the target matrix in
    the figure of the OFF-CLIP paper (Park et al., MICCAI 2025).

    Args:
        is_normal: one flag a study of the batch; images and texts are paired by position.

    Returns:
        Symmetric matrix of zeros and ones in float32, images in rows, texts in columns.
    """
    diagonal = torch.eye(len(is_normal), dtype=torch.bool, device=is_normal.device)
    return (diagonal | (is_normal[:, None] & is_normal[None, :])).float()
