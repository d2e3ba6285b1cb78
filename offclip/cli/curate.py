"""``curate``: from an archive to records and an image cache."""

import argparse
from typing import Any

from offclip.cli.shared import shared_out, spread_options


def add(commands: Any) -> None:
    """Add the command."""
    curate = commands.add_parser("curate", help="make records, and an image cache, of a dataset")
    curate.add_argument(
        "dataset", nargs="?", default="openi_phantom",
        help="openi_phantom, or a set of which you have a copy: mimic_cxr, vindr_cxr, openi, "
        "chexpert, padchest, nih_chestxray14, chestx_det10, ms_cxr",
    )  # fmt: skip
    curate.add_argument(
        "--data", "--out", help="folder for the records; runs/data for openi_phantom"
    )
    curate.add_argument("--reports", help="archive or folder of the reports, if not in --root")
    curate.add_argument("--seed", type=int, help="of split or drawn images; 0 for a new folder")
    curate.add_argument("--root", help="the folder of your copy")
    curate.add_argument("--classifier", help="of sentences: classifier.json of another curation")
    spread_options(curate)
    curate.add_argument(
        "--strict", action="store_true",
        help="stop at an image that would be left out, unless it is known to be bad",
    )  # fmt: skip
    curate.add_argument(
        "--force", action="store_true",
        help="also replace curated records of another dataset, or with other settings",
    )  # fmt: skip
    curate.set_defaults(call=_curate)


def _curate(options: argparse.Namespace) -> None:
    from offclip.data.archive import curate_archive
    from offclip.data.curate import DATASET, curate

    if options.dataset == DATASET:
        _refuse_for_phantoms(options)
        data = options.data or "runs/data"
        counts = curate(
            data, reports=options.reports, seed=options.seed, force=options.force
        ).counts
    elif options.root is None or options.data is None:
        raise ValueError(
            f"--root, --out: expected the folder of your copy of {options.dataset}, and a folder "
            "of its own for the records"
        )
    else:
        with shared_out(options) as spread:
            counts = curate_archive(
                options.dataset,
                options.root,
                options.data,
                reports=options.reports,
                classifier=options.classifier,
                seed=options.seed,
                strict=options.strict,
                force=options.force,
                spread=spread,
            ).counts
    for name, value in counts.items():
        print(f"{name}: {value}")


def _refuse_for_phantoms(options: argparse.Namespace) -> None:
    given = [name for name in ("root", "classifier", "strict", "scheduler") if vars(options)[name]]
    if given:
        raise ValueError(
            f"--{given[0]}: expected the name of a set as well, for example: curate mimic_cxr "
            "--root …; the default, openi_phantom, is made from reports alone"
        )
