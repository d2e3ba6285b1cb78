"""Every variant at the settings that the search chose for it, on test.

    python -m benchmarks.tuned --search book/results/search.csv --jobs 2 \\
        --record book/results/tuned.csv

Reads the record of benchmarks/search.py, takes for each variant the setting with the best mean of
its metrics on validation (settings of the frontier cannot be taken), trains the other seeds and
writes test records by seed and over seeds, and the paired differences to tuned ``infonce+filter``.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks._common import material_of, settings_of_record, study_parser
from benchmarks.search import GRID, METRICS, Settings, settings_of, spelled
from offclip.evaluation import Record, read_evidence, write_evidence
from offclip.study import run_config, sweep
from offclip.study.evidence import differences, measure_run, over_seeds, run_records

BASELINE = "infonce+filter"


def chosen(path: str | Path) -> dict[str, Settings]:
    """The setting of each variant with the best mean over ``METRICS`` on validation.

    Raises:
        ValueError: a setting of the grid has no record; run the search first.
    """
    table = read_evidence(path)
    means = table.groupby(["variant", "detail"])["value"].mean()
    found: dict[str, Settings] = {}
    for variant in GRID:
        named = {spelled(own): own for own in settings_of(variant)}
        missing = [name for name in named if (variant, name) not in means.index]
        if missing:
            raise ValueError(
                f"search: expected a record of {variant!r} with {missing[0]!r} in {path}, found "
                "none; run benchmarks.search first"
            )
        found[variant] = named[str(means[variant][list(named)].idxmax())]
    return found


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("--search", required=True, help="record of benchmarks.search")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    base, material = settings_of_record(), material_of(options)
    settings = chosen(options.search)
    configs = [
        run_config(variant, head="cross_attention", seed=seed, **{**base, **own})
        for variant, own in settings.items()
        for seed in options.seeds
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    measured = [measure_run(run, material, "test") for run in runs]
    count = len(options.seeds)
    groups = {name: measured[i * count : (i + 1) * count] for i, name in enumerate(settings)}
    records: list[Record] = []
    for variant, ours in groups.items():
        single = [record for one in ours for record in run_records(one)]
        own = [*single, *over_seeds(ours, single)]
        if variant != BASELINE:
            own += differences(ours, groups[BASELINE], (variant, BASELINE))
        name = f"{variant}, tuned: {spelled(settings[variant])}"
        records += [replace(record, variant=name) for record in own]
        for record in own:
            if record.seed is None and record.detail == "mean" and record.metric in METRICS:
                print(f"{name:50} {record.metric:18} {record.value:.3f} {record.interval}")
    print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
