"""How closely normal images lie together, and apart from the others."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.distance import pdist
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize


def cohesion(
    features: Float[np.ndarray, "image dim"], is_normal: Bool[np.ndarray, " image"]
) -> dict[str, float]:
    r"""Alignment, uniformity and silhouette of normal images on the unit sphere.

    ``alignment``: mean of :math:`\lVert x - y \rVert^2` over pairs of normal images, in [0, 4], low
    where they gather. ``uniformity``: :math:`\log \overline{e^{-2 \lVert x - y \rVert^2}}` over all
    pairs, at most 0, low where the sphere is filled (Wang & Isola, ICML 2020, who take augmented
    views of one image for the pairs of the first). ``silhouette``: mean over all images of
    :math:`(b - a) / \max(a, b)` with the mean distances a to the own kind and b to the other, in
    [-1, 1] (Rousseeuw 1987, by scikit-learn).

    Raises:
        ValueError: fewer than two images of a kind.
    """
    counts = int(is_normal.sum()), int((~is_normal).sum())
    if min(counts) < 2:
        raise ValueError(
            f"is_normal: expected two images of each kind at least, got {counts[0]} normal and "
            f"{counts[1]} abnormal"
        )
    sphere = normalize(features)
    return {
        "alignment": float(pdist(sphere[is_normal], "sqeuclidean").mean()),
        "uniformity": float(np.log(np.exp(-2 * pdist(sphere, "sqeuclidean")).mean())),
        "silhouette": float(silhouette_score(sphere, is_normal)),
    }
