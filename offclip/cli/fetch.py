"""``fetch``: the files of an open dataset; ``check``: what a copy of any dataset has."""

import argparse
import sys
from typing import Any

from offclip.cli.shared import shared_out, spread_options

SHOWN = 3
"""Details of a kind on the terminal; all of them are in the file of --csv."""


def add(commands: Any) -> None:
    """Add the commands."""
    fetch = commands.add_parser(
        "fetch",
        help="download an open dataset, checksums verified",
        description="Downloads an open dataset; run again to go on after a failure. Sets that ask "
        "for registration or credentials are not fetched: the official steps are printed.",
    )
    fetch.add_argument("name", help="openi, nih_chestxray14, chestx_det10 or openi_reports")
    fetch.add_argument("--local", help="a copy you have, of openi_reports")
    fetch.add_argument("--cache", help="folder; else OFFCLIP_CACHE, else ~/.cache/offclip")
    fetch.set_defaults(call=_fetch)

    check = commands.add_parser(
        "check",
        help="see whether your copy of a dataset is whole",
        description="Compares your copy with the published counts and reads every image that the "
        "reader lists. Exit status: 0 all is there, 1 something differs, is missing or damaged, "
        "2 wrong arguments. Other image files, and rows that the reader leaves out, do not count "
        "as faults. Nothing is changed.",
    )
    check.add_argument("dataset", help="for example mimic_cxr")
    check.add_argument("--root", required=True, help="the folder of your copy")
    check.add_argument("--reports", help="root of the reports, if it is another")
    check.add_argument("--quick", action="store_true", help="read no pixels, only headers")
    spread_options(check)
    check.add_argument("--csv", help="write all details to this file")
    check.add_argument("--force", action="store_true", help="replace the file of --csv")
    check.set_defaults(call=_check)


def _fetch(options: argparse.Namespace) -> None:
    from offclip.data.fetch import fetch

    path = fetch(options.name, local=options.local, cache=options.cache)
    print(path)
    if path.is_dir() and not options.local:
        print(
            f"Next, see whether it is whole: python -m offclip check {options.name} --root {path}"
        )
        print(
            f"and make records: python -m offclip curate {options.name} --root {path} --out FOLDER"
        )


def _check(options: argparse.Namespace) -> int:
    from offclip.data.check import check
    from offclip.files import check_target, write_text

    if options.csv:
        check_target(options.csv, force=options.force)
    with shared_out(options) as spread:
        found = check(
            options.dataset,
            options.root,
            reports=options.reports,
            quick=options.quick,
            spread=spread,
        )
    table = found.table.astype(object)
    print(table.where(table.notna(), "").to_string(index=False))
    for kind, part in found.details.groupby("kind", sort=False):
        for row in part.head(SHOWN).itertuples():
            print(f"{kind}: {row.path}{f' ({row.reason})' if row.reason else ''}")
        if len(part) > SHOWN:
            print(f"{kind}: and {len(part) - SHOWN} more")
    if options.csv:
        write_text(options.csv, found.details.to_csv(index=False))
        print(f"wrote {options.csv}, {len(found.details)} lines")
    if not found.ok:
        print(f"offclip check: {options.root} is not as published; see above", file=sys.stderr)
    return 0 if found.ok else 1
