"""How well sentences are told apart, against labels made by reading.

The sentences are a stratified sample, so every number of the whole is weighted back to the natural
mix: sentence i stands for w_i sentences, and a share is sum(w_i x_i) / sum(w_i).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm
from sklearn.metrics import cohen_kappa_score

from offclip.evaluation.bootstrap import Interval
from offclip.evaluation.calibration import calibration_error

UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class SentenceScores:
    """What a classifier reaches on labelled sentences; see ``score_sentences``.

    Attributes:
        n: sentences labelled normal or abnormal.
        accuracy: share of them that are classified as labelled.
        abnormal_recall: share of the abnormal ones that are called abnormal.
        normal_recall: share of the normal ones that are called normal.
        calibration_error: see ``calibration_error``; NaN if n is 0.
        n_uncertain: sentences labelled uncertain; they count in none of the above.
        uncertain_abnormal: share of the uncertain ones that are called abnormal.
    """

    n: int
    accuracy: Interval
    abnormal_recall: Interval
    normal_recall: Interval
    calibration_error: float
    n_uncertain: int
    uncertain_abnormal: Interval


def score_sentences(
    labels: np.ndarray,
    probabilities: Float[np.ndarray, " sentence"],
    weights: Float[np.ndarray, " sentence"],
    *,
    threshold: float = 0.5,
) -> SentenceScores:
    """Score probabilities of "abnormal" against labels, weighted to the natural mix.

    Args:
        labels: (sentences,) strings: normal, abnormal or uncertain.
        probabilities: that each sentence is abnormal, in [0, 1].
        weights: sentences that each one stands for, above 0.
        threshold: a sentence is called abnormal when its probability is at least this.

    Raises:
        ValueError: a label is unknown or missing, or a probability or weight outside its range.
    """
    _check(labels, probabilities, weights)
    called = probabilities >= threshold
    abnormal, unsure = labels == "abnormal", labels == UNCERTAIN
    sure = ~unsure

    def share(correct: np.ndarray, of: np.ndarray) -> Interval:
        return weighted_share(correct[of].astype(np.float64), weights[of])

    return SentenceScores(
        n=int(sure.sum()),
        accuracy=share(called == abnormal, sure),
        abnormal_recall=share(called, abnormal),
        normal_recall=share(~called, sure & ~abnormal),
        calibration_error=calibration_error(
            abnormal[sure].astype(np.float64), probabilities[sure], weights[sure]
        ),
        n_uncertain=int(unsure.sum()),
        uncertain_abnormal=share(called, unsure),
    )


def score_strata(
    labels: np.ndarray,
    probabilities: Float[np.ndarray, " sentence"],
    weights: Float[np.ndarray, " sentence"],
    strata: np.ndarray,
    *,
    threshold: float = 0.5,
) -> dict[str, SentenceScores]:
    """Return ``score_sentences`` for each stratum, by name, in order of the names."""
    return {
        str(name): score_sentences(
            labels[strata == name],
            probabilities[strata == name],
            weights[strata == name],
            threshold=threshold,
        )
        for name in np.unique(strata)
    }


def weighted_share(
    values: Float[np.ndarray, " sentence"], weights: Float[np.ndarray, " sentence"]
) -> Interval:
    """Weighted share of ones with its 95 % Wilson interval (Wilson, JASA 22, 1927).

    The interval takes Kish's effective size n = (sum w)^2 / sum w^2 for the number of sentences;
    with equal weights it is Wilson's own. That strata were drawn without replacement, some of them
    whole, is not used, which makes it a little too wide. No sentence: NaN.
    """
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    share = float(np.average(values, weights=weights))
    size = float(weights.sum() ** 2 / (weights**2).sum())
    z = float(norm.ppf(0.975))
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def cohen_kappa(
    first: np.ndarray, second: np.ndarray, weights: Float[np.ndarray, " sentence"]
) -> float:
    """Cohen's kappa of two labellings (Educ. Psychol. Meas. 20, 1960), weighted.

    (p_o - p_e) / (1 - p_e), with the observed and the chance agreement. NaN if both gave one and
    the same label to all, when there is no chance to correct for.
    """
    if len(np.unique(np.concatenate([first, second]))) < 2:
        return float("nan")
    return float(cohen_kappa_score(first, second, sample_weight=weights))


def _check(
    labels: np.ndarray,
    probabilities: Float[np.ndarray, " sentence"],
    weights: Float[np.ndarray, " sentence"],
) -> None:
    allowed = ("normal", "abnormal", UNCERTAIN)
    if unknown := sorted({str(label) for label in labels} - set(allowed)):
        raise ValueError(
            f"labels: expected {allowed}, got {unknown[0]!r}; label the sentence or leave it out"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities: expected values in [0, 1]; pass probabilities, not logits")
    if not ((weights > 0) & np.isfinite(weights)).all():
        raise ValueError("weights: expected finite values above 0; read them from the gold file")
