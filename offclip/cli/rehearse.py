"""``rehearse``: a small copy of a published set's layout, with rendered phantoms."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    rehearse = commands.add_parser(
        "rehearse", help="write a small invented copy of a published set's layout"
    )
    rehearse.add_argument("dataset", help="for example vindr_cxr")
    rehearse.add_argument("--to", required=True, help="folder, empty or not there yet")
    rehearse.add_argument("--studies", type=int, default=60)
    rehearse.add_argument("--seed", type=int, default=0)
    rehearse.add_argument("--size", type=int, default=256, help="pixels of the longer side")
    rehearse.add_argument("--force", action="store_true", help="write an earlier copy again")
    rehearse.set_defaults(call=_rehearse)


def _rehearse(options: argparse.Namespace) -> None:
    from offclip.rehearsal import about, rehearse

    chosen = {"studies": options.studies, "seed": options.seed, "size": options.size}
    root = rehearse(options.dataset, options.to, force=options.force, **chosen)
    print(about(options.dataset, **chosen), end="")
    print(root)
