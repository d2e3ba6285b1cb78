"""Work is shared out and comes back in order, whoever dies on the way."""

import os
import signal
import time
from functools import partial

import dask
import pytest
from distributed import LocalCluster

from offclip.data.spread import cores, spread


def square(number):
    return number * number


def slow_first(number):
    time.sleep(0.3 if number == 0 else 0.0)
    return number, os.getpid()


def die_once(folder, number):
    """Kills its own process the first time it is asked for number 5."""
    mark = folder / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number):
    raise ValueError(f"item {number}: expected another")


def test_one_job_is_map():
    with spread(1) as each:
        assert each is map
    with pytest.raises(ValueError, match="jobs: expected at least 1, got 0"), spread(0):
        pass
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_processes_give_results_in_order_and_outlive_a_killed_worker(tmp_path):
    with spread(2) as each:
        found = list(each(slow_first, range(20)))
        assert [number for number, _ in found] == list(range(20))
        assert os.getpid() not in {process for _, process in found}
        assert list(each(partial(die_once, tmp_path), range(30))) == list(range(30))
        assert (tmp_path / "died").exists()
        with pytest.raises(ValueError, match="item 0: expected another"):
            list(each(fail, range(100)))
        assert list(each(square, [])) == []


def test_a_task_that_kills_every_worker_ends_with_advice():
    message = "died again and again.*with fewer jobs"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        spread(2) as each,
        pytest.raises(RuntimeError, match=message),
    ):
        list(each(die, [1]))


def cluster(workers):
    return LocalCluster(
        n_workers=workers, processes=False, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    )


def test_a_running_scheduler_is_used():
    with cluster(1) as running, spread(scheduler=running.scheduler_address) as each:
        assert list(each(square, range(9))) == [n * n for n in range(9)]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_scheduler_that_is_none_is_named(address, monkeypatch):
    monkeypatch.setattr("offclip.data.spread.CONNECT_SECONDS", 0.5)
    message = f"{address}.*start one with `dask scheduler`"
    with pytest.raises(ConnectionError, match=message), spread(scheduler=address):
        pass


def test_a_scheduler_without_workers_is_named():
    message = "has no worker; start some with"
    with (
        cluster(0) as running,
        pytest.raises(ConnectionError, match=message),
        spread(scheduler=running.scheduler_address),
    ):
        pass


def test_work_without_any_worker_is_given_up(monkeypatch):
    monkeypatch.setattr("offclip.data.spread.LOST_SECONDS", 0.5)
    with cluster(1) as running, spread(scheduler=running.scheduler_address) as each:
        running.scale(0)
        with pytest.raises(RuntimeError, match="no worker is left; what is finished stays"):
            list(each(square, range(9)))


def late(number):
    raise TimeoutError(f"item {number} took too long")


def test_a_task_may_raise_a_timeout_of_its_own():
    message = "item 0 took too long"
    with (
        cluster(1) as running,
        spread(scheduler=running.scheduler_address) as each,
        pytest.raises(TimeoutError, match=message),
    ):
        list(each(late, [0]))
