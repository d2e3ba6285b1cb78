"""One change against a baseline, at the settings of record: train both, write what differs.

    python -m benchmarks.versus offclip+tier --baseline offclip --record book/results/tier.csv
    python -m benchmarks.versus offdiag_bce+filter --set score_bias=-5 \\
        --baseline offdiag_bce+filter --record book/results/bias_filter.csv

Writes the records of the changed variant (by seed and over seeds, test and validation) and its
paired differences to the baseline, whose own records come from the study. ``--set`` changes a
setting of the variant, not of the baseline. Finished runs are not repeated; about 3 minutes a run
on one core.
"""

from dataclasses import replace

from benchmarks._common import (
    material_of,
    settings_given,
    settings_of_record,
    sizes_changed,
    study_parser,
)
from offclip.evaluation import write_evidence
from offclip.study import run_config, sweep
from offclip.study.evidence import differences, measure_run, over_seeds, run_records


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("variant")
    parser.add_argument("--baseline", required=True)
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of the variant")
    parser.add_argument("--head", default="cross_attention")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    settings = settings_of_record()
    material = material_of(options)
    given = settings_given(options.set, parser)
    changed = {**settings, **given}
    configs = [
        run_config(variant, head=options.head, seed=seed, **own)
        for variant, own in ((options.variant, changed), (options.baseline, settings))
        for seed in options.seeds
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    count = len(options.seeds)
    names = (runs[0].config.name + sizes_changed(given), runs[count].config.name)
    records = []
    for split in ("validation", "test"):
        ours, theirs = (
            [measure_run(run, material, split) for run in part]
            for part in (runs[:count], runs[count:])
        )
        single = [record for one in ours for record in run_records(one)]
        found = [*single, *over_seeds(ours, single), *differences(ours, theirs, names)]
        records += [replace(record, variant=names[0]) for record in found]
    print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
