"""``curate``: from an archive to records and an image cache."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    curate = commands.add_parser("curate", help="make records, and an image cache, of a dataset")
    curate.add_argument(
        "dataset", nargs="?", default="openi_phantom",
        help="openi_phantom, or a set of which you have a copy: mimic_cxr, vindr_cxr, openi, "
        "chexpert, padchest, nih_chestxray14, chestx_det10, ms_cxr",
    )  # fmt: skip
    curate.add_argument("--data", "--out", default="runs/data", help="folder for the records")
    curate.add_argument("--reports", help="archive or folder of the reports, if not in --root")
    curate.add_argument("--seed", type=int, help="of split or drawn images; 0 for a new folder")
    curate.add_argument("--root", help="the folder of your copy")
    curate.add_argument("--classifier", help="of sentences: classifier.json of another curation")
    curate.add_argument("--jobs", type=int, help="processes that read; default: all cores")
    curate.add_argument("--scheduler", default="", help="of a Dask cluster, as tcp://10.0.0.1:8786")
    curate.add_argument(
        "--strict", action="store_true",
        help="stop at an image that would be left out, unless it is known to be bad",
    )  # fmt: skip
    curate.set_defaults(call=_curate)


def _curate(options: argparse.Namespace) -> None:
    from offclip.data.archive import curate_archive
    from offclip.data.curate import DATASET, curate
    from offclip.data.spread import spread

    if options.dataset == DATASET:
        counts = curate(options.data, reports=options.reports, seed=options.seed).counts
    elif options.root is None:
        raise ValueError(f"--root: expected the folder of your copy of {options.dataset}")
    else:
        with spread(options.jobs, options.scheduler) as each:
            counts = curate_archive(
                options.dataset,
                options.root,
                options.data,
                reports=options.reports,
                classifier=options.classifier,
                seed=options.seed or 0,
                strict=options.strict,
                spread=_watched(each),
            ).counts
    for name, value in counts.items():
        print(f"{name}: {value}")


def _watched(each: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same, with a bar on a terminal: one step a part."""
    from tqdm import tqdm

    def run(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        parts = list(items)
        return iter(tqdm(each(function, parts), total=len(parts), unit="part", disable=None))

    return run
