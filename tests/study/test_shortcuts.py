"""What can be answered without looking: found where it is planted, absent where it is not."""

import numpy as np
import pandas as pd
import pytest

from offclip.data.batches import AugmentedImages
from offclip.evaluation import auc
from offclip.study import protocol
from offclip.study.real import RealSet
from offclip.study.shortcuts import normality_shortcuts, pointing_shortcut

COUNT = 120


def real_set(*, brighter: float):
    """Noise pictures; the normal ones are brighter, come first and are mostly AP."""
    generator = np.random.default_rng(0)
    normal = np.arange(COUNT) % 2 == 0
    pixels = generator.normal(100, 20, (COUNT, 32, 32)) + brighter * normal[:, None, None]
    patients = np.where(normal, np.arange(COUNT), 1000 + np.arange(COUNT))
    box = {"label": "Lung Opacity", "x_min": 0.0, "y_min": 0.0, "x_max": 20.0, "y_max": 20.0}
    records = pd.DataFrame(
        {
            "study_id": [f"S{i}" for i in range(COUNT)],
            "patient_id": [f"NIH-{i:05d}" for i in patients],
            "view": np.where(normal, "AP", "PA"),
            "is_normal": normal,
            "boxes": [[box] if not each else [] for each in normal],
            "width": 64,
            "height": 64,
        }
    )
    pictures = AugmentedImages(list(records["study_id"]), pixels.clip(0, 255).astype(np.uint8))
    return RealSet(records, pictures, protocol(), {"Lung Opacity": "opacity"})


@pytest.mark.parametrize(("brighter", "low", "high"), [(30.0, 0.99, 1.0), (0.0, 0.3, 0.7)])
def test_brightness_is_found_where_it_is_planted(brighter, low, high):
    real = real_set(brighter=brighter)
    found = normality_shortcuts(real, folds=3)
    normal = real.records["is_normal"].to_numpy()
    assert low <= auc(normal, found["pixel statistics alone"]) <= high
    assert auc(normal, found["view alone"]) == auc(normal, found["patient number alone"]) == 1


def test_boxes_that_lie_at_one_place_are_hit_without_looking():
    hits = pointing_shortcut(real_set(brighter=0.0), 4, folds=3)
    assert len(hits) == COUNT // 2 and hits["hit"].all()
    assert hits["chance"].eq(1 / 16).all()
