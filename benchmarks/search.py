"""The same search for every variant, on validation: settings side by side, test untouched.

    python -m benchmarks.search --jobs 2 --record book/results/search.json

Each variant of ``GRID`` gets four settings besides those of record, one seed each: four learning
rates for a loss without weights; for ``offclip`` weights of its off-diagonal term, and for the
sigmoid form first biases. Written are validation means only; nothing is measured on test. The
points of ``offclip`` are also the frontier of normal against abnormal AUC over the weight.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import yaml

from offclip.data.curate import curate
from offclip.evaluation import write_evidence
from offclip.study import Material, run_config, sweep
from offclip.study.evidence import measure_run, run_records

Settings = Mapping[str, float | str]
RATES: tuple[Settings, ...] = tuple({"learning_rate": rate} for rate in (2.5e-4, 5e-4, 2e-3, 4e-3))
GRID: Mapping[str, tuple[Settings, ...]] = {
    "infonce": RATES,
    "infonce+filter": RATES,
    "offdiag_soft+filter": RATES,
    "offclip": tuple({"off_diagonal_weight": weight} for weight in (0.25, 0.5, 2.0, 4.0)),
    "offdiag_bce+filter": tuple({"score_bias": bias} for bias in (-2.5, -5.0, -10.0, -20.0)),
}
METRICS = ("normal_auc", "abnormal_auc_pos")


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", choices=tuple(GRID), default=list(GRID))
    parser.add_argument("--data", default="runs/data", help="folder of the records")
    parser.add_argument("--out", default="runs", help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--record", required=True, help="JSON file for the evidence")
    options = parser.parse_args()
    base = yaml.safe_load(Path(__file__).with_name("study.yaml").read_text(encoding="utf-8"))
    material = Material(curate(options.data).records, Path(options.out) / "draws")
    asked: list[tuple[str, Settings]] = [
        (variant, own) for variant in options.variants for own in ({}, *GRID[variant])
    ]
    configs = [
        run_config(variant, head="cross_attention", seed=options.seed, **{**base, **own})
        for variant, own in asked
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    records = []
    for (variant, own), run in zip(asked, runs, strict=True):
        name = ", ".join(f"{key} {value}" for key, value in own.items()) or "of record"
        for record in run_records(measure_run(run, material, "validation")):
            if record.metric in METRICS and record.detail == "mean":
                changed = {"metric": f"{record.metric}_search", "detail": name, "variant": variant}
                records.append(type(record)(**{**vars(record), **changed}))
                print(f"{variant:22} {name:28} {record.metric:18} {record.value:.3f}")
    print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
