"""The simulations of coverage, small: intervals and tests keep their 95 %."""

import pytest

from benchmarks.coverage import delong_accepts, patients_covered, seeds_covered


@pytest.mark.parametrize(
    ("seeds", "noise", "lowest", "highest"),
    [
        (2, (0.1, 0.0), 0.93, 0.97),
        (3, (0.1, 0.0), 0.93, 0.97),
        (5, (0.1, 0.0), 0.93, 0.97),  # 0.87 by a bootstrap of the seeds
        (5, (1.0, 0.0), 0.93, 0.98),
        (5, (5.0, 0.0), 0.93, 0.97),
        (3, (0.1, 1.0), 0.93, 1.0),  # noise of seed and image together counts twice
    ],
)
def test_intervals_over_seeds(seeds, noise, lowest, highest):
    assert lowest <= seeds_covered(seeds, *noise, trials=800, resamples=200) <= highest


def test_patients_with_several_images():
    assert 0.91 <= patients_covered("patients", trials=200, resamples=200) <= 0.985
    assert patients_covered("images", trials=200, resamples=200) < 0.8
    assert 0.92 <= delong_accepts("patients", trials=400) <= 0.975
    assert delong_accepts("images", trials=400) < 0.8
