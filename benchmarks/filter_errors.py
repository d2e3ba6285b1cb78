"""What errors of the sentence filter cost downstream: turn some of its decisions round and retrain.

    python -m benchmarks.filter_errors --jobs 2 --record book/results/filter_errors.json

Trains ``offclip`` with the settings of record (benchmarks/study.yaml) for each share of errors and
each seed, and writes the records of the study: each share by seed, over seeds, and the difference
to the filter as it is. Runs that are finished are not repeated; about 3 minutes a run on one core.
"""

import argparse
from pathlib import Path

import yaml

from offclip.data.curate import curate
from offclip.evaluation import write_evidence
from offclip.study import Material, run_config, study_records, sweep

SHARES = (0.0, 0.01, 0.05, 0.1, 0.2)


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="runs/data", help="folder of the records")
    parser.add_argument("--out", default="runs", help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--record", required=True, help="JSON file for the evidence")
    options = parser.parse_args()
    settings = yaml.safe_load(Path(__file__).with_name("study.yaml").read_text(encoding="utf-8"))
    material = Material(curate(options.data).records, Path(options.out) / "draws")
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
