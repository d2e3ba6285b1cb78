"""Several runs, side by side on the cores; finished ones are not repeated."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch

from offclip.study.material import Material
from offclip.study.pooling import check_once
from offclip.study.run import Run, draws_needed, finished_run, run
from offclip.study.variants import RunConfig


def sweep(
    configs: Sequence[RunConfig],
    material: Material,
    out: str | Path,
    *,
    jobs: int = 1,
    report: Callable[[str], None] | None = None,
) -> list[Run]:
    """Every run of ``configs``, in their order.

    Args:
        configs: what to run.
        material: records and the folder of rendered draws.
        out: folder of the runs.
        jobs: processes at a time, each with one thread; 1 runs in this process.
        report: gets a line for each finished run, or for each validation with one job.

    Raises:
        ValueError: ``jobs`` is not positive, or a configuration is there twice; nothing is run.
        Exception: the first error of a run; those already finished are kept.
    """
    if jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    check_once("configs", configs, lambda c: f"{c.name}, {c.model.head}, seed {c.train.seed}")
    say = report or (lambda line: None)
    waiting = [config for config in configs if finished_run(out, config, material) is None]
    if jobs == 1:
        for config in waiting:
            say(f"{config.name}, {config.model.head}, seed {config.train.seed}")
            run(config, material, out, report=report)
    elif waiting:
        _draw_once(waiting, material)
        with ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_one_thread
        ) as pool:
            futures = {pool.submit(run, config, material, out): config for config in waiting}
            for number, future in enumerate(as_completed(futures), start=1):
                done, config = future.result(), futures[future]
                say(
                    f"{number}/{len(waiting)} {config.name}, {config.model.head}, "
                    f"seed {config.train.seed}: {float(str(done.about['minutes'])):.1f} minutes"
                )
    return [run(config, material, out) for config in configs]


def _draw_once(configs: Sequence[RunConfig], material: Material) -> None:
    """Render the training draws before the processes start, so that none is rendered twice."""
    cases = material.cases("train")
    needed: dict[int, int] = {}
    for config in configs:
        draws = draws_needed(config, max(1, len(cases) // config.train.batch_size))
        size = config.model.picture_size
        needed[size] = max(needed.get(size, 0), draws)
    for size, draws in needed.items():
        pictures = material.pictures(cases, size)
        for number in range(draws):
            pictures.draw(1 + number)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
