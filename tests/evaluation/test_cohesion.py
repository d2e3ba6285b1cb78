"""Cohesion on points whose answer is known."""

import numpy as np
import pytest

from offclip.evaluation.cohesion import cohesion

NORMAL = np.array([True] * 4 + [False] * 4)


def test_two_far_crowds():
    points = np.array([[3.0, 0.0]] * 4 + [[-1.0, 0.0]] * 4)
    found = cohesion(points, NORMAL)
    assert found["alignment"] == pytest.approx(0)
    assert found["silhouette"] == pytest.approx(1)
    assert found["uniformity"] == pytest.approx(np.log((12 + 16 * np.exp(-8)) / 28))


def test_normal_images_that_lie_anywhere():
    generator = np.random.default_rng(0)
    found = cohesion(generator.standard_normal((400, 64)), np.arange(400) < 200)
    assert found["alignment"] == pytest.approx(2, abs=0.02)
    assert found["uniformity"] == pytest.approx(-4, abs=0.3)
    assert abs(found["silhouette"]) < 0.01


def test_too_few_of_a_kind():
    with pytest.raises(ValueError, match="expected two images of each kind.*1 normal and 7"):
        cohesion(np.eye(8), np.arange(8) < 1)
