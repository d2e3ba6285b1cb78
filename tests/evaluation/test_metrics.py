"""AUC, and the threshold that validation chooses."""

import numpy as np
import pytest

from offclip.evaluation import auc
from offclip.evaluation.metrics import youden_threshold


def test_one_class_is_not_a_number_and_bad_scores_raise():
    assert np.isnan(auc(np.ones(3, dtype=bool), np.arange(3.0)))
    with pytest.raises(ValueError, match="1 of 2 are not finite"):
        auc(np.array([True, False]), np.array([0.0, np.nan]))


def test_boundary_positive_counts_at_its_threshold():
    labels = np.array([False, False, True, True])
    scores = np.array([0.0, 1.0, 2.0, 3.0])
    assert youden_threshold(labels, scores) == 2.0
