"""Watching a run: a bar for people at a terminal, curves for TensorBoard."""

import resource
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import torch

from offclip.training.config import TrainConfig

Watch = Callable[[int, Mapping[str, float]], None]


def memory_gib(device: torch.device | str) -> float:
    """Largest memory so far: on this GPU, or for the CPU that of this process."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return process_gib()


def process_gib() -> float:
    """Largest memory that this process has held so far.

    Linux hands the value of ``getrusage`` on to a program that a larger one starts; the kernel's
    own mark of this program is read where there is one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in marks:
            return int(marks["VmHWM"].split()[0]) / 2**20
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def progress_bar(config: TrainConfig) -> Watch:
    """A bar on stderr with time left, loss, studies a second and memory."""
    from tqdm.auto import tqdm

    bar = tqdm(total=config.steps, unit="step", smoothing=0.1)

    def watch(step: int, facts: Mapping[str, float]) -> None:
        if "loss_total" in facts:
            bar.set_postfix_str(
                f"loss {facts['loss_total']:.3f}, {facts['studies_per_second']:.0f} studies/s, "
                f"{facts['memory_gib']:.1f} GiB",
                refresh=False,
            )
            bar.update(step - bar.n)
        if step == config.steps:
            bar.close()

    return watch


def tensorboard(folder: str | Path) -> Watch:
    """Curves of every term and metric in ``folder/tensorboard``; needs the package tensorboardX.

    Nothing is written before the first step, when the folder is known to be the run's own.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tensorboard: needs the package tensorboardX; pip install 'offclip[train]'"
        ) from error
    open_writer = cache(lambda: SummaryWriter(str(Path(folder) / "tensorboard")))

    def watch(step: int, facts: Mapping[str, float]) -> None:
        writer = open_writer()
        for name, value in facts.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return watch
