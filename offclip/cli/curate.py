"""``curate``: from an archive to records and an image cache."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    curate = commands.add_parser("curate", help="make records, and an image cache, of a dataset")
    curate.add_argument(
        "dataset", nargs="?", default="openi_phantom", help="openi_phantom or mimic_cxr"
    )
    curate.add_argument("--data", "--out", default="runs/data", help="folder for the records")
    curate.add_argument("--reports", help="archive or folder of the reports, if not in --root")
    curate.add_argument("--seed", type=int, help="of split or drawn images; 0 for a new folder")
    curate.add_argument("--root", help="your copy of the archive, for mimic_cxr")
    curate.add_argument("--classifier", help="of sentences: classifier.json of another curation")
    curate.add_argument("--jobs", type=int, default=1, help="processes that read images")
    curate.add_argument("--strict", action="store_true", help="stop at what would be left out")
    curate.set_defaults(call=_curate)


def _curate(options: argparse.Namespace) -> None:
    from offclip.data.archive import curate_archive
    from offclip.data.curate import DATASET, curate

    if options.dataset == DATASET:
        counts = curate(options.data, reports=options.reports, seed=options.seed).counts
    elif options.root is None:
        raise ValueError(f"--root: expected the folder of your copy of {options.dataset}")
    else:
        counts = curate_archive(
            options.dataset,
            options.root,
            options.data,
            reports=options.reports,
            classifier=options.classifier,
            seed=options.seed or 0,
            jobs=options.jobs,
            strict=options.strict,
        ).counts
    for name, value in counts.items():
        print(f"{name}: {value}")
