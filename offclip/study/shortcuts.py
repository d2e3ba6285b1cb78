"""What can be answered without looking at the anatomy: baselines that a real set has to beat."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.ensemble import HistGradientBoostingClassifier

from offclip.evaluation import place_prior, pointing_game
from offclip.imaging.boxes import boxes_in_square
from offclip.study.real import RealSet, folds_of


def normality_shortcuts(
    real: RealSet, *, folds: int = 5, seed: int = 0
) -> dict[str, Float[np.ndarray, " image"]]:
    """Scores for "normal" from what is no finding: the view, the patient's number, grey values.

    A set that was collected unevenly gives its labels away in these; a model that learns from
    pixels may have learned no more. For ``pixel statistics alone``, boosted trees see mean,
    deviation, five percentiles and the mean step between neighbours: enough to tell one scanner
    from another, and nothing of where anything lies. They are cross-fitted over patients.

    Args:
        real: the set; patients' numbers are taken as they are counted.
        folds: at least 3.
        seed: of the folds.
    """
    cases = real.records
    normal, fold = cases["is_normal"].to_numpy(dtype=bool), folds_of(cases, folds, seed=seed)
    features, score = _statistics(real.pictures.images), np.zeros(len(cases))
    for k in range(folds):
        model = HistGradientBoostingClassifier(random_state=seed)
        model.fit(features[fold != k], normal[fold != k])
        score[fold == k] = model.predict_proba(features[fold == k])[:, 1]
    number = pd.to_numeric(cases["patient_id"].str.extract(r"(\d+)")[0])
    return {
        "view alone": (cases["view"] == "AP").to_numpy(dtype=float),
        "patient number alone": -number.to_numpy(dtype=float),
        "pixel statistics alone": score,
    }


def pointing_shortcut(real: RealSet, grid: int, *, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """The pointing game played where other patients' boxes are most often, whatever the image.

    Args:
        real: the set.
        grid: cells along one side, as many as the models have.
        folds: at least 3; the boxes of an image's own fold are not used for it.
        seed: of the folds.
    """
    cases, size = real.records, real.pictures.images.shape[1]
    boxes, classes = boxes_in_square(real.records, size), list(real.boxed)
    fold = folds_of(cases, folds, seed=seed)
    parts = []
    for k in range(folds):
        own, others = list(cases["study_id"][fold == k]), set(cases["study_id"][fold != k])
        known = {study: each for study, each in boxes.items() if study in others}
        prior = place_prior(known, classes, grid, size)
        maps = np.broadcast_to(prior, (len(own), *prior.shape))
        parts.append(pointing_game(maps, own, classes, boxes, size))
    return pd.concat(parts, ignore_index=True)


def _statistics(pictures: np.ndarray) -> np.ndarray:
    pixels = pictures.astype(float)
    step = np.abs(np.diff(pixels, axis=2)).mean(axis=(1, 2))
    percentiles = np.percentile(pixels, (1, 25, 50, 75, 99), axis=(1, 2))
    return np.stack([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2)), *percentiles, step], axis=1)
