"""The same search for every variant, on validation: settings side by side, test untouched.

    python -m benchmarks.search --jobs 2 --record book/results/search.csv

Each variant of ``GRID`` gets five settings besides those of record, one seed each: learning rates
and what its loss can be set by. Chosen is the best mean of ``METRICS`` on
validation; nothing is measured on test (benchmarks/tuned.py does). With ``--frontier``, further
settings of the off-diagonal term are run as well: they are drawn, but nobody may choose them.
"""

from collections.abc import Mapping
from dataclasses import replace

from benchmarks._common import material_of, settings_of_record, study_parser
from offclip.evaluation import write_evidence
from offclip.study import run_config, sweep
from offclip.study.evidence import run_records
from offclip.study.measured import measure_run

Settings = Mapping[str, float | str]
RATES: tuple[Settings, ...] = ({"learning_rate": 5e-4}, {"learning_rate": 2e-3})
SOFTMAX: tuple[Settings, ...] = (
    *RATES, {"learning_rate": 4e-3}, {"score_scale": 2.0}, {"score_scale": 12.5},
)  # fmt: skip
GRID: Mapping[str, tuple[Settings, ...]] = {
    "infonce": SOFTMAX,
    "infonce+filter": SOFTMAX,
    "offdiag_soft+filter": (*SOFTMAX[:4], {"balance": "classes"}),
    "offdiag_bce+filter": (
        *RATES, {"score_bias": -5.0}, {"score_bias": -10.0}, {"balance": "classes"},
    ),
    "offclip": (
        *RATES, {"off_diagonal_weight": 0.25}, {"abnormal_weight": 0.25}, {"balance": "classes"},
    ),
    "offclip+tier": (
        *({"tier_words": weight, "tier_patches": weight} for weight in (0.003, 0.01, 0.03)),
        *({"tier_words": w, "tier_patches": w, "tier_temperature": 1.0} for w in (0.1, 1.0)),
    ),
}  # fmt: skip
FRONTIER: Mapping[str, tuple[Settings, ...]] = {
    "offclip": ({"form": "bce"}, {"off_diagonal_weight": 0.05}, {"abnormal_weight": 0.05}),
}
METRICS = ("normal_auc", "abnormal_auc_pos")


def settings_of(variant: str, *, frontier: bool = False) -> list[Settings]:
    """What is tried for a variant; the settings of record come first."""
    return [{}, *GRID[variant], *(FRONTIER.get(variant, ()) if frontier else ())]


def spelled(own: Settings) -> str:
    """Settings as evidence names them."""
    return ", ".join(f"{key} {value}" for key, value in own.items()) or "of record"


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("--variants", nargs="+", choices=tuple(GRID), default=list(GRID))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frontier", action="store_true", help="also what may not be chosen")
    options = parser.parse_args()
    base = settings_of_record()
    material = material_of(options)
    asked: list[tuple[str, Settings]] = [
        (variant, own)
        for variant in options.variants
        for own in settings_of(variant, frontier=options.frontier)
    ]
    configs = [
        run_config(variant, head="cross_attention", seed=options.seed, **{**base, **own})
        for variant, own in asked
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    records = []
    for (variant, own), run in zip(asked, runs, strict=True):
        name = spelled(own)
        for record in run_records(measure_run(run, material, "validation")):
            if record.metric in METRICS and record.detail == "mean":
                metric = f"{record.metric}_search"
                records.append(replace(record, metric=metric, detail=name, variant=variant))
                print(f"{variant:22} {name:28} {record.metric:18} {record.value:.3f}")
    print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
