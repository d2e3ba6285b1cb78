"""Options that several commands have."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offclip.data.spread import Spread


def spread_options(command: argparse.ArgumentParser) -> None:
    """Who does the work: ``--jobs`` and ``--scheduler``."""
    command.add_argument("--jobs", type=int, help="processes that read; default: all cores")
    command.add_argument(
        "--scheduler", default="", help="of a Dask cluster, as tcp://10.0.0.1:8786"
    )


@contextmanager
def shared_out(options: argparse.Namespace) -> "Iterator[Spread]":
    """The work shared out as the options say, with a bar on a terminal: one step a part."""
    from tqdm import tqdm

    from offclip.data.spread import spread

    with spread(options.jobs, options.scheduler) as each:

        def run(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            parts = list(items)
            return iter(tqdm(each(function, parts), total=len(parts), unit="part", disable=None))

        yield run
