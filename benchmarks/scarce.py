"""What the off-diagonal term is worth where data are scarce: few studies, few normals, small batch.

    python -m benchmarks.scarce --jobs 2 --record book/results/scarce.csv

Trains the filtered variants with the settings of record (benchmarks/study.yaml) but for one of
``CONDITIONS``; a small batch gets more steps, so that as many images are seen. Writes each
condition by seed, over seeds, and the paired differences to ``infonce+filter`` under the same
condition. Finished runs are not repeated; about 3 minutes a run on one core.
"""

from collections.abc import Mapping
from dataclasses import replace

from benchmarks._common import material_of, settings_of_record, study_parser
from offclip.evaluation import Record, write_evidence
from offclip.study import run_config, sweep
from offclip.study.evidence import Measured, differences, measure_run, over_seeds, run_records

BASELINE = "infonce+filter"
VARIANTS = (BASELINE, "offdiag_soft+filter", "offclip")
CONDITIONS: Mapping[str, Mapping[str, float]] = {
    "10% of studies": {"studies_kept": 0.1},
    "10% of normals": {"normals_kept": 0.1},
    "batch 16": {"batch_size": 16, "steps": 2400, "validate_every": 400},
}
METRICS = ("normal_auc", "abnormal_auc_pos", "abnormal_auc_pos_among_abnormal", "normal_margin",
           "pointing")  # fmt: skip


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    if BASELINE not in options.variants:
        parser.error(f"--variants: expected {BASELINE} among them, the others are compared with it")
    base = settings_of_record()
    material = material_of(options)
    asked = [(name, variant) for name in options.conditions for variant in options.variants]
    configs = [
        run_config(variant, head="cross_attention", seed=seed, **{**base, **CONDITIONS[condition]})
        for condition, variant in asked
        for seed in options.seeds
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    measured = [measure_run(run, material, "test") for run in runs]
    count = len(options.seeds)
    groups = {pair: measured[i * count : (i + 1) * count] for i, pair in enumerate(asked)}
    records = []
    for (condition, variant), ours in groups.items():
        records += _records(condition, variant, ours, groups[condition, BASELINE])
    print(f"wrote {write_evidence(options.record, records)}")


def _records(
    condition: str, variant: str, ours: list[Measured], baseline: list[Measured]
) -> list[Record]:
    """One variant under one condition: by seed, over seeds, against the baseline."""
    single = [record for one in ours for record in run_records(one)]
    pooled = over_seeds(ours, single)
    for record in pooled:
        if record.detail == "mean" and record.metric in METRICS:
            print(f"{condition:16} {variant:22} {record.metric:32} {record.value:.3f}")
    records = [*single, *pooled]
    if variant != BASELINE:
        records += differences(ours, baseline, (variant, BASELINE))
    named = [replace(record, variant=f"{variant}, {condition}") for record in records]
    return [record for record in named if record.metric.removesuffix("_difference") in METRICS]


if __name__ == "__main__":
    main()
