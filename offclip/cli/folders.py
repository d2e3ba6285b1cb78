"""``about``: what is this folder? ``remove``: what offclip made, and nothing else."""

import argparse
import sys
from typing import Any

SHOWN = 5
"""Files of a folder that are not ours, on the terminal."""


def add(commands: Any) -> None:
    """Add the commands."""
    about = commands.add_parser("about", help="what offclip made in a folder and below, by marks")
    about.add_argument("folder")
    about.set_defaults(call=_about)
    remove = commands.add_parser("remove", help="remove what offclip made there; it asks first")
    remove.add_argument("folder")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.set_defaults(call=_remove)


def _about(options: argparse.Namespace) -> None:
    _show(options.folder)


def _show(place: str) -> list[Any]:
    """Print what was made there; return the folders and their marks, the deepest first."""
    from offclip.folders import foreign, marked

    found = marked(place)
    if not found:
        raise ValueError(f"{place}: nothing that offclip made, here or below")
    for folder, mark in reversed(found):
        print(f"{folder}: {mark.title}")
        others = foreign(folder, mark)
        if others:
            more = ", …" if len(others) > SHOWN else ""
            print(f"  not made by offclip, {len(others)}: {', '.join(others[:SHOWN])}{more}")
    return found


def _remove(options: argparse.Namespace) -> None:
    from offclip.folders import remove

    found = _show(options.folder)
    print(f"These {len(found)} will be removed; files that offclip did not make stay.")
    if not options.yes and not _agreed():
        raise ValueError("nothing was removed")
    for folder, _ in found:
        remove(folder)
    print(f"removed: {len(found)}")


def _agreed() -> bool:
    print('Type "yes" to remove them: ', end="", flush=True)
    return sys.stdin.readline().strip() == "yes"
