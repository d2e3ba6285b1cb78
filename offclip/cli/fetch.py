"""``fetch``: an open dataset's archive, checksum verified."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    fetch = commands.add_parser("fetch", help="download a dataset's archive, checksum verified")
    fetch.add_argument("name", help="manifest, for example openi_reports")
    fetch.add_argument("--local", help="a copy you have")
    fetch.set_defaults(call=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from offclip.data.fetch import fetch

    print(fetch(options.name, local=options.local))
