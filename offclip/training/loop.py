"""The training loop: one straight line from batches to the best checkpoint.

The same loop runs on a CPU, a GPU, or many GPUs through Accelerate. Validation is a callable, so
that training knows no evaluation.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from offclip.files import remove_parts, write_json
from offclip.folders import Mark, claim
from offclip.models import PairModel, load_weights, save_weights
from offclip.models.heads import CosineHead, CrossAttentionHead
from offclip.scores import use_exact_float32
from offclip.training.checkpoint import LAST, PREVIOUS, Metrics, Progress, resume, save_progress
from offclip.training.config import TrainConfig
from offclip.training.distributed import process_state, use_global_statistics
from offclip.training.faults import memory_advice
from offclip.training.log import log_entry, report_line, step_facts
from offclip.training.objective import Objective
from offclip.training.optimizer import new_optimizer, weight_average
from offclip.training.schedule import learning_rate
from offclip.training.step import take_step
from offclip.training.stream import Batches, Prepare, stream
from offclip.training.watch import Watch

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
    if isinstance(model.head, CrossAttentionHead):
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
    parts_of_batches = stream(batches, done, every, accelerator, prepare)
    started = time.perf_counter() - progress.seconds
    judged = model if average is None else cast(PairModel, average.module)
    while progress.step < config.steps:
        rate = learning_rate(config, progress.step, [e[config.select] for e in progress.log])
        for group in optimizer.param_groups:
            group["lr"] = rate
        begun = time.perf_counter()
        with memory_advice(config, model.head):
            terms = take_step(
                module, optimizer, parts_of_batches, config, accelerator, progress.step, folder
            )
        if config.scale_bound == "step" and isinstance(model.head, CosineHead):
            model.head.bound_scale()
        if average:
            average.update_parameters(model)
        progress.step += 1
        progress.since.append({**terms, "seconds": time.perf_counter() - begun})
        validates = progress.step % config.validate_every == 0 or progress.step == config.steps
        facts = step_facts(progress, config, rate, accelerator.device)
        if watch and first:
            watch(progress.step, facts)
        if validates:
            metrics = _validated(judged, validate, config, first)
            progress.seconds = time.perf_counter() - started
            entry = log_entry(progress, metrics, facts)
            progress.log.append(entry)
            progress.since = []
            if _improves(metrics[config.select], progress.best.get(config.select)):
                progress.best = {"step": progress.step, **metrics}
                if first:
                    save_weights(folder / "best.safetensors", judged)
            if report and first:
                report(report_line(entry, config))
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
