"""Do the 95 % intervals cover the truth 95 times in a hundred? Simulated, with a known truth.

    python -m benchmarks.coverage --record book/results/coverage.csv

``interval over seeds``: values of S training seeds with noise of the seeds, of the images that all
of them share, and of seed and image together, by ``offclip.evaluation.resampled_over_seeds``.
``over patients`` and ``over images``: the AUC of patients with several images, resampled by either.
``DeLong's test``: two models without a difference; what is counted is p of 0.05 or more. Takes
about three minutes on one core.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import binomtest, norm

from offclip.evaluation import (
    RunInfo,
    auc,
    bootstrap_auc,
    bootstrap_weights,
    percentile_interval,
    resampled_over_seeds,
    write_evidence,
)
from offclip.evaluation.delong import delong_difference

OWN = 0.3  # deviation of an image from its patient, whose deviation is 1
TRIALS = 2000


def seeds_covered(
    seeds: int, image_noise: float, joint_noise: float, *, trials: int, resamples: int = 1000
) -> float:
    """Share of intervals over seeds that cover the truth; the noise of the seeds is 1."""
    generator, covered = np.random.default_rng(0), 0
    for _ in range(trials):
        images = image_noise * generator.standard_normal(1 + resamples)
        joint = joint_noise * generator.standard_normal((seeds, 1 + resamples))
        values = generator.standard_normal(seeds) + images[0] + joint[:, 0]
        resampled = values[:, None] + images[1:] + joint[:, 1:]
        interval = percentile_interval(values.mean(), resampled_over_seeds(resampled))
        covered += interval.low <= 0 <= interval.high
    return covered / trials


def patients(
    generator: np.random.Generator, models: int, count: int = 60, images: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patient and label of each image, and scores by model; one in two patients has both labels."""
    patient = np.repeat(np.arange(count), images)
    labels = (patient % 2 == 0) & (generator.random(len(patient)) < 0.8)
    shared = generator.standard_normal((models, count))[:, patient]
    own = OWN * generator.standard_normal((models, len(patient)))
    return patient, labels, shared + own + labels


def patients_covered(unit: str, *, trials: int, resamples: int = 1000) -> float:
    """Share of intervals of an AUC that cover it, ``patients`` or ``images`` being resampled."""
    truth = float(norm.cdf(1 / np.sqrt(2 * (1 + OWN**2))))
    generator, covered = np.random.default_rng(0), 0
    for seed in range(trials):
        patient, labels, (scores,) = patients(generator, 1)
        clusters = patient if unit == "patients" else np.arange(len(labels))
        weights = bootstrap_weights(clusters, labels, resamples=resamples, seed=seed)
        resampled = bootstrap_auc(labels, scores, weights)
        interval = percentile_interval(auc(labels, scores), resampled)
        covered += interval.low <= truth <= interval.high
    return covered / trials


def delong_accepts(unit: str, *, trials: int) -> float:
    """Share of tests that see no difference where there is none."""
    generator, accepted = np.random.default_rng(0), 0
    for _ in range(trials):
        patient, labels, (first, second) = patients(generator, 2)
        clusters = patient if unit == "patients" else None
        accepted += delong_difference(labels, first, second, clusters)[1] >= 0.05
    return accepted / trials


def simulations() -> Iterator[tuple[str, str, Callable[[], float]]]:
    """What is simulated: variant, detail and the share to be had."""
    for seeds in (2, 3, 5, 10):
        for image, joint in ((0.1, 0.0), (1.0, 0.0), (5.0, 0.0), (1.0, 0.5), (0.1, 1.0)):
            yield (
                "interval over seeds",
                f"{seeds} seeds, noise of images {image:g}, of both {joint:g}",
                lambda s=seeds, i=image, j=joint: seeds_covered(s, i, j, trials=TRIALS),
            )
    for unit in ("patients", "images"):
        detail = f"over {unit}, 5 images each"
        yield "bootstrap", detail, lambda u=unit: patients_covered(u, trials=TRIALS)
        yield "DeLong's test", detail, lambda u=unit: delong_accepts(u, trials=TRIALS)


def main() -> None:
    """Simulate and write the evidence."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", help="CSV file for the evidence")
    options = parser.parse_args()
    records = []
    for variant, detail, share in simulations():
        started = time.perf_counter()
        value = share()
        interval = binomtest(round(value * TRIALS), TRIALS).proportion_ci(method="wilson")
        minutes = (time.perf_counter() - started) / 60
        run = RunInfo(dataset="simulated", variant=variant, seed=0, minutes=minutes)
        bounds = (float(interval.low), float(interval.high))
        records.append(
            run.record("none", "coverage", detail, value, TRIALS, interval=bounds, method="Wilson")
        )
        print(f"{variant:20} {detail:48} {value:.3f}", flush=True)
    if options.record:
        print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
