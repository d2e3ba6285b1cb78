"""The training loop: one straight line from batches to the best checkpoint.

The same loop runs on a CPU, a GPU, or many GPUs through Accelerate. Validation is a callable, so
that training knows no evaluation.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count, islice
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from offclip.files import remove_parts, write_json
from offclip.folders import Mark, claim
from offclip.models import PairModel, load_weights, save_weights
from offclip.models.heads import CosineHead
from offclip.scores import use_exact_float32
from offclip.training.checkpoint import LAST, PREVIOUS, Metrics, Progress, resume, save_progress
from offclip.training.config import TrainConfig
from offclip.training.distributed import process_state, use_global_statistics
from offclip.training.faults import memory_advice, stop_not_finite
from offclip.training.objective import Objective
from offclip.training.optimizer import new_optimizer, weight_average
from offclip.training.schedule import learning_rate
from offclip.training.watch import Watch, memory_gib

Batch = Mapping[str, Any]
Prepare = Callable[[Tensor], Tensor]
Validate = Callable[[PairModel], dict[str, float]]
RUN = "training run"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
FILES = (
    "config.json",
    "log.jsonl",
    "best.safetensors",
    LAST,
    PREVIOUS,
    "not_finite_*.json",
    "tensorboard/events.*",
)
"""What training writes into it."""
NO_TERMS = ("gradient_norm", "seconds")  # of what is noted of a step


@runtime_checkable
class Batches(Protocol):
    """Batches of every epoch, each a function of the epoch and its place in it."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from number ``start`` on.

        Mappings with ``images``, ``input_ids``, ``attention_mask``, ``is_normal`` and ``ids``
        (named in errors). Iterated in a thread, one batch ahead: no global random numbers.
        """
        ...


@dataclass(frozen=True)
class TrainResult:
    """Where the best weights lie and how the run went.

    Attributes:
        folder: holds ``best.safetensors``, ``config.json`` and ``log.jsonl``.
        best: validation metrics of the best checkpoint, with its ``step``.
        log: one entry a validation: step, loss terms and gradient norm before clipping (means over
            the steps since the last one), learning rate, metrics, seconds so far, studies a second.
        seconds: of training and validation, interruptions left out.
    """

    folder: Path
    best: Metrics
    log: list[Metrics]
    seconds: float


def train(
    model: PairModel,
    batches: Batches,
    validate: Validate,
    config: TrainConfig,
    folder: str | Path,
    *,
    prepare: Prepare | None = None,
    report: Callable[[str], None] | None = None,
    watch: Watch | None = None,
) -> TrainResult:
    """Train ``model``; keep the checkpoint that validation finds best.

    Interrupted runs go on from the last checkpoint when called again with the same folder and
    configuration, to the same weights: bit for bit on a CPU, and on a GPU up to the order in which
    its kernels add. A finished run is loaded, not repeated. On return ``model`` holds the best
    weights. Float32 is exact on GPUs too, see ``offclip.scores.use_exact_float32``.

    Started by ``accelerate launch`` or ``torchrun``, every process calls this with the same
    arguments. Each takes its part of every batch, and the loss is that of the whole batch. The
    first one validates, reports and writes; all have to see ``folder``.

    Args:
        model: as initialised with ``config.seed`` by the caller.
        batches: of every epoch.
        validate: called with the model in eval mode without gradients; gives ``config.select``.
        config: every setting.
        folder: for checkpoints and log, new or empty or of this run; written atomically.
        prepare: from the ``images`` of a batch to the model's input, on the device and with the
            random numbers of the step; default: they are the input already.
        report: gets one line a validation, for example ``print``.
        watch: gets the facts of each step, see ``offclip.training.progress_bar``.

    Raises:
        ValueError: ``folder`` holds something else or a run of another configuration, an epoch has
            no batch, the batch cannot be shared out evenly, or validation does not give
            ``config.select`` or never a finite value of it.
        FloatingPointError: the loss or the gradient is not finite, and the weights are as they were
            before the step; ``not_finite_<process>.json`` has the studies.
        MemoryError: the memory is too small; the message says what to lower.
    """
    process_state()
    use_exact_float32()
    accelerator = Accelerator()
    _check_share(config, accelerator)
    folder, first = Path(folder), accelerator.is_main_process
    with accelerator.main_process_first():
        claim(folder, Mark(RUN, contents=FILES))
        write_config(folder, model, config)
        if first:
            remove_parts(folder)
    model.head.pairs_at_once = config.pairs_at_once
    if accelerator.num_processes > 1:
        use_global_statistics(model)
    model.to(accelerator.device)
    average = weight_average(model, config.ema) if config.ema else None
    optimizer = new_optimizer(model, config)
    module, optimizer = accelerator.prepare(Objective(model, config), optimizer)
    parts = {"model": model, "optimizer": optimizer} | ({"average": average} if average else {})
    progress = resume(folder, parts)
    accelerator.wait_for_everyone()
    done, every = (steps * config.accumulate for steps in (progress.step, config.steps))
    stream = _stream(batches, done, every, accelerator, prepare)
    started = time.perf_counter() - progress.seconds
    judged = model if average is None else cast(PairModel, average.module)
    while progress.step < config.steps:
        rate = learning_rate(config, progress.step, [e[config.select] for e in progress.log])
        for group in optimizer.param_groups:
            group["lr"] = rate
        begun = time.perf_counter()
        terms = _step(module, optimizer, stream, config, accelerator, progress.step, folder)
        if config.scale_bound == "step" and isinstance(model.head, CosineHead):
            model.head.bound_scale()
        if average:
            average.update_parameters(model)
        progress.step += 1
        progress.since.append({**terms, "seconds": time.perf_counter() - begun})
        validates = progress.step % config.validate_every == 0 or progress.step == config.steps
        facts = _facts(progress, config, rate, accelerator.device)
        if watch and first:
            watch(progress.step, facts)
        if validates:
            metrics = _validated(judged, validate, config, first)
            progress.seconds = time.perf_counter() - started
            entry = _entry(progress, metrics, facts)
            progress.log.append(entry)
            progress.since = []
            if _improves(metrics[config.select], progress.best.get(config.select)):
                progress.best = {"step": progress.step, **metrics}
                if first:
                    save_weights(folder / "best.safetensors", judged)
            if report and first:
                report(_line(entry, config))
            if watch and first:
                watch(progress.step, {f"validation_{k}": v for k, v in metrics.items()})
        progress.seconds = time.perf_counter() - started
        saves = validates or (config.save_every and progress.step % config.save_every == 0)
        if saves and first:
            save_progress(folder, progress, parts)
    accelerator.wait_for_everyone()
    return _finish(folder, model, progress, config)


def _check_share(config: TrainConfig, accelerator: Accelerator) -> None:
    if config.batch_size % accelerator.num_processes:
        raise ValueError(
            f"batch_size: expected a multiple of the {accelerator.num_processes} processes, "
            f"got {config.batch_size}"
        )


def _stream(
    batches: Batches, start: int, stop: int, accelerator: Accelerator, prepare: Prepare | None
) -> Iterator[Batch]:
    """This process's part of batches ``start`` to ``stop``, on its device, prepared.

    ``prepare`` runs in the step, with its random numbers; the batch is fetched during the step
    before.
    """
    if len(batches) == 0:
        raise ValueError("batches: an epoch gave no batch; there are fewer studies than batch_size")
    device, pinned = accelerator.device, accelerator.device.type == "cuda"
    for batch in _ahead(islice(_parts(batches, start, accelerator, pinned), stop - start)):
        part = {
            name: v.to(device, non_blocking=pinned) if isinstance(v, Tensor) else v
            for name, v in batch.items()
        }
        yield {**part, "images": prepare(part["images"])} if prepare else part


def _parts(batches: Batches, start: int, accelerator: Accelerator, pinned: bool) -> Iterator[Batch]:
    """This process's part of batch ``start`` and all later ones, in memory of the CPU."""
    rank, of = accelerator.process_index, accelerator.num_processes
    for epoch in count(start // len(batches)):
        first = start % len(batches) if epoch == start // len(batches) else 0
        for batch in batches(epoch, first):
            size = len(batch["ids"]) // of
            own = slice(rank * size, (rank + 1) * size)
            yield {
                name: v[own].pin_memory() if pinned and isinstance(v, Tensor) else v[own]
                for name, v in batch.items()
            }


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each fetched by a thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        fetched = thread.submit(next, batches, None)
        while (batch := fetched.result()) is not None:
            fetched = thread.submit(next, batches, None)
            yield batch


def _step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    stream: Iterator[Batch],
    config: TrainConfig,
    accelerator: Accelerator,
    step: int,
    folder: Path,
) -> dict[str, float]:
    """One step of the optimiser: means of the loss's terms over its batches, and gradient norm."""
    # Random numbers are a function of the step, so that there is no state of theirs to resume.
    own = np.random.SeedSequence((config.seed, step, accelerator.process_index))
    torch.manual_seed(int(own.generate_state(1)[0]))
    module.train()
    optimizer.zero_grad(set_to_none=True)
    path = folder / f"not_finite_{accelerator.process_index}.json"
    terms: list[dict[str, Tensor]] = []
    studies: list[list[object]] = []
    for number in range(config.accumulate):
        batch = dict(next(stream))
        studies.append(list(batch.pop("ids")))
        last = number == config.accumulate - 1
        with nullcontext() if last else accelerator.no_sync(module), memory_advice(config):
            losses = module(**batch)
            accelerator.backward(losses["total"] / config.accumulate)
        terms.append({name: term.detach() for name, term in losses.items()})
    norm = accelerator.clip_grad_norm_(module.parameters(), config.clip_norm)
    values, gradient_norm = _read(terms, norm)
    for each, ids in zip(values, studies, strict=True):
        if not isfinite(each["total"]):
            stop_not_finite("loss", each["total"], each, ids, step, config, path)
    facts = {name: fmean(each[name] for each in values) for name in values[0]}
    facts["gradient_norm"] = gradient_norm
    if not isfinite(gradient_norm):
        every = [study for ids in studies for study in ids]
        stop_not_finite("gradient norm", gradient_norm, facts, every, step, config, path)
    optimizer.step()
    return facts


def _read(terms: list[dict[str, Tensor]], norm: Tensor) -> tuple[list[dict[str, float]], float]:
    """Terms of each batch and the gradient norm as numbers: the one wait for the device a step."""
    *values, last = torch.stack([*(t for each in terms for t in each.values()), norm]).tolist()
    left = iter(values)
    return [{name: next(left) for name in each} for each in terms], last


def _facts(
    progress: Progress, config: TrainConfig, rate: float, device: torch.device
) -> dict[str, float]:
    """What :data:`Watch` gets after a step."""
    latest = progress.since[-1]
    losses = {f"loss_{name}": value for name, value in latest.items() if name not in NO_TERMS}
    pace = fmean(entry["seconds"] for entry in progress.since[-20:])
    return {
        **losses,
        "gradient_norm": latest["gradient_norm"],
        "learning_rate": rate,
        "studies_per_second": config.batch_size * config.accumulate / pace,
        "memory_gib": memory_gib(device),
        "seconds_left": pace * (config.steps - progress.step),
    }


def _entry(progress: Progress, metrics: dict[str, float], facts: dict[str, float]) -> Metrics:
    """A line of the log."""
    means = {name: fmean(step[name] for step in progress.since) for name in progress.since[0]}
    losses = {f"loss_{name}": mean for name, mean in means.items() if name not in NO_TERMS}
    norm = means["gradient_norm"]
    costs = {name: facts[name] for name in ("learning_rate", "studies_per_second", "memory_gib")}
    return {
        "step": progress.step, **losses, "gradient_norm": norm, **metrics, **costs,
        "seconds": progress.seconds,
    }  # fmt: skip


def _validated(
    model: PairModel, validate: Validate, config: TrainConfig, first: bool
) -> dict[str, float]:
    """Metrics, the same in every process: the first one validates."""
    shared: list[dict[str, float]] = [{}]
    if first:
        model.eval()
        with torch.no_grad():
            shared = [validate(model)]
        if config.select not in shared[0]:
            raise ValueError(
                f"select: expected one of the validation metrics {', '.join(shared[0])}; "
                f"got {config.select!r}"
            )
    broadcast_object_list(shared)
    return shared[0]


def _improves(value: float, best: float | None) -> bool:
    """Whether a metric is the best so far; NaN and infinities never are, and block none after."""
    return math.isfinite(value) and (best is None or not value <= best)


def _line(entry: Metrics, config: TrainConfig) -> str:
    return (
        f"step {entry['step']:>5.0f}/{config.steps}  loss {entry['loss_total']:.3f}  "
        f"{config.select} {entry[config.select]:.3f}  {entry['seconds']:.0f} s"
    )


def write_config(folder: Path, model: PairModel, config: TrainConfig) -> None:
    """Write both configurations, or raise if ``folder`` holds a run of other ones."""
    dump = {"train": dataclasses.asdict(config), "model": dataclasses.asdict(model.config)}
    dump = json.loads(json.dumps(dump))
    path = folder / "config.json"
    if not path.exists():
        write_json(path, {"model_type": model.model_type, **dump})
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        f"{part}.{key} was {found.get(part, {}).get(key)!r}, now {value!r}"
        for part, values in dump.items()
        for key, value in values.items()
        if found.get(part, {}).get(key) != value
    ]
    if changed:
        raise ValueError(
            f"{folder} holds a run of another configuration ({'; '.join(changed)}); "
            "choose another folder or remove this one"
        )


def _finish(folder: Path, model: PairModel, progress: Progress, config: TrainConfig) -> TrainResult:
    if not math.isfinite(progress.best.get(config.select, math.nan)):
        found = sorted({str(entry[config.select]) for entry in progress.log})
        raise ValueError(
            f"select: expected a finite {config.select} at one validation or more, got "
            f"{', '.join(found)} at all {len(progress.log)}, so no checkpoint is best; look at "
            f"{folder / 'log.jsonl'}, and take another metric or validation cases that define it"
        )
    (folder / PREVIOUS).unlink(missing_ok=True)
    load_weights(folder / "best.safetensors", model)
    model.eval()
    return TrainResult(folder, progress.best, progress.log, progress.seconds)
