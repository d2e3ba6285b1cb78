"""What errors of the sentence filter cost downstream: turn some of its decisions round and retrain.

    python -m benchmarks.filter_errors --jobs 2 --record book/results/filter_errors.csv

Trains ``offclip`` with the settings of record (benchmarks/study.yaml) for each share of errors and
each seed, and writes the records of the study: each share by seed, over seeds, and the difference
to the filter as it is. Runs that are finished are not repeated; about 3 minutes a run on one core.
"""

from benchmarks._common import material_of, settings_of_record, study_parser
from offclip.evaluation import write_evidence
from offclip.study import run_config, study_records, sweep

SHARES = (0.0, 0.01, 0.05, 0.1, 0.2)


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    settings = settings_of_record()
    material = material_of(options)
    configs = [
        run_config("offclip", head="cross_attention", seed=seed, filter_errors=share, **settings)
        for seed in options.seeds
        for share in SHARES
    ]
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    grouped = {runs[start].config.name: runs[start :: len(SHARES)] for start in range(len(SHARES))}
    records = study_records(grouped, material)
    own = [record for record in records if record.variant != "offclip"]
    kept = own + [record for record in records if "filter errors" in record.detail]
    print(f"wrote {write_evidence(options.record, kept)}")


if __name__ == "__main__":
    main()
