"""The command line: ``python -m offclip`` and one of
``fetch | check | rehearse | curate | train | evaluate | predict | study | export | leaks | about |
remove``.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from offclip.cli import curate, evaluate, fetch, folders, leaks, rehearse, runs

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an expected error is a line on stderr and 1.

    One of several processes that were started together does not return from an error, but ends.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.call(options) or 0)
    except (ValueError, OSError, ArithmeticError, KeyError, RuntimeError, MemoryError) as error:
        print(f"offclip {options.command}: {error}", file=sys.stderr)
        return _failed(1)
    except KeyboardInterrupt:
        print(f"offclip {options.command}: interrupted; what is finished stays", file=sys.stderr)
        return _failed(INTERRUPTED)


def _failed(code: int) -> int:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from offclip.training.distributed import hard_exit

        hard_exit(code)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="offclip", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for each in (fetch, rehearse, curate, runs, evaluate, leaks, folders):
        each.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
