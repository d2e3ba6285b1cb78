"""One function over many items: in this process, on all local cores, or on a Dask cluster.

Dask gives the work of a worker that died to another one. Results come in the order of the items, so
that what is made of them does not depend on who was faster.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from distributed import Client, Future

Spread: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to items; the built-in ``map`` is one."""

AHEAD = 4
"""Tasks handed out at once for each thread of a worker: enough to keep all busy."""
CONNECT_SECONDS = 30
LOST_SECONDS = 60
"""How long a cluster may be without any worker before the work is given up."""


@contextmanager
def spread(jobs: int | None = None, scheduler: str = "") -> Iterator[Spread]:
    """Yield a ``map`` that shares its work out.

    Functions and items are pickled, and workers of a cluster have to see the same files under the
    same names. No more than ``AHEAD`` tasks a thread are under way, so memory does not grow
    with the number of items.

    Args:
        jobs: local processes; 1 works in this one, None takes all cores this process may use.
        scheduler: address of a running Dask scheduler, such as ``tcp://10.0.0.1:8786``; then
            ``jobs`` does not matter.

    Raises:
        ValueError: fewer than one job.
        ConnectionError: no scheduler answers, or it has no worker.
        RuntimeError: workers died again and again on the same task.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    jobs = jobs or cores()
    if jobs == 1 and not scheduler:
        yield map
        return
    with _client(jobs, scheduler) as client:
        yield partial(_map, client)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _client(jobs: int, scheduler: str) -> "Client":
    """A client of a running scheduler, or of local processes of one thread each."""
    import logging

    from distributed import Client

    if not scheduler:
        client = Client(
            n_workers=jobs,
            threads_per_worker=1,
            host="127.0.0.1",  # nothing listens beyond this machine
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        client.run(_ignore_interrupts)  # Ctrl-C is for the process that started them
        return client
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"scheduler: expected the address of a running Dask scheduler, got {scheduler!r} "
            f"({error}); start one with `dask scheduler`, and workers with `dask worker "
            f"{scheduler}`"
        ) from error
    if not client.nthreads():
        client.close()
        raise ConnectionError(
            f"scheduler: {scheduler} has no worker; start some with `dask worker {scheduler}`"
        )
    return client


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _map(client: "Client", function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Results in the order of the items, few tasks ahead of them."""
    ahead = AHEAD * sum(client.nthreads().values())
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(client.submit(function, item, pure=False))
            if len(waiting) >= ahead:
                yield _result(client, waiting.popleft())
        while waiting:
            yield _result(client, waiting.popleft())
    finally:
        for future in waiting:
            future.cancel()


def _result(client: "Client", future: "Future") -> Any:
    from distributed import KilledWorker

    while True:
        try:
            return future.result(timeout=LOST_SECONDS)
        except KilledWorker as error:
            raise RuntimeError(
                "workers died again and again on the same task, most likely for want of memory; "
                "what is finished stays: run again with fewer jobs"
            ) from error
        except TimeoutError as error:
            if future.done():  # it just ended, or the error is the task's own
                return future.result()
            if not client.nthreads():
                raise RuntimeError(
                    "no worker is left; what is finished stays: run again, with fewer jobs if "
                    "memory is short"
                ) from error
