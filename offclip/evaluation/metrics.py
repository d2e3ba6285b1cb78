"""AUC, and the threshold that validation chooses."""

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score, roc_curve


def auc(labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]) -> float:
    """Area under the ROC curve; NaN if a class is empty.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"scores: {np.sum(~np.isfinite(scores))} of {len(labels)} are not finite")
    if labels.all() or not labels.any():
        return float("nan")
    return float(roc_auc_score(labels, scores))


def youden_threshold(
    labels: Bool[np.ndarray, " image"], scores: Float[np.ndarray, " image"]
) -> float:
    """Threshold ``t`` of the rule ``score >= t`` that maximises sensitivity + specificity.

    To be chosen on validation and applied to test, never chosen on the test labels.
    """
    false_positive, true_positive, thresholds = roc_curve(labels, scores)
    best = int(np.argmax((true_positive - false_positive)[1:])) + 1
    return float(thresholds[best])
