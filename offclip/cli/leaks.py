"""``leaks``: does what is to be published show anything of records that may not be shown?"""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    leaks = commands.add_parser(
        "leaks", help="look for text, identifiers and data of restricted records in files"
    )
    leaks.add_argument("paths", nargs="+", help="files and folders that are to be published")
    leaks.add_argument(
        "--records", nargs="+", required=True,
        help="folders of your curated copies and runs; every records.parquet below them counts",
    )  # fmt: skip
    leaks.add_argument(
        "--open", nargs="+", default=[], help="files with open text: its phrases are no fault"
    )
    leaks.set_defaults(call=_leaks)


def _leaks(options: argparse.Namespace) -> None:
    from offclip.privacy import find_leaks, local_copy

    copy = local_copy(options.records)
    count, findings = find_leaks(options.paths, copy, open_texts=options.open)
    known = f"{count} files, {sum(copy.restricted.values())} restricted records"
    for finding in findings:
        print(finding)
    if findings:
        files = len({finding.file for finding in findings})
        raise ValueError(f"{files} of {known}: must not be published (book/data-access.md)")
    print(f"{known}: nothing found; numbers and images are not checked")
