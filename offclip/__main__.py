"""The command line: ``python -m offclip`` and one of
``fetch | curate | train | evaluate | predict | study | export``.
"""

import argparse
import sys
from collections.abc import Sequence

from offclip.cli import curate, fetch, runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an expected error is one line on stderr and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        options.call(options)
    except (ValueError, OSError, ArithmeticError, KeyError, RuntimeError) as error:
        print(f"offclip {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="offclip", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for each in (fetch, curate, runs):
        each.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
