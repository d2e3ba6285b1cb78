"""The training loop: one straight line from batches to the best checkpoint.

The same loop runs on a CPU or a GPU through Accelerate. Validation is a callable, so that training
knows no evaluation.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from offclip.files import write_json
from offclip.models import ImageTextModel, load_weights, save_weights
from offclip.training.checkpoint import (
    Metrics,
    Progress,
    resume,
    save_progress,
)
from offclip.training.config import TrainConfig
from offclip.training.objective import objective, with_tier

Batch = Mapping[str, Any]
Validate = Callable[[ImageTextModel], dict[str, float]]


@dataclass(frozen=True)
class TrainResult:
    """Where the best weights lie and how the run went.

    Attributes:
        folder: holds ``best.safetensors``, ``config.json`` and ``log.jsonl``.
        best: validation metrics of the best checkpoint, with its ``step``.
        log: one entry a validation: step, loss terms, learning rate, metrics, seconds so far.
        seconds: of training and validation, interruptions left out.
    """

    folder: Path
    best: Metrics
    log: list[Metrics]
    seconds: float


def train(
    model: ImageTextModel,
    batches: Callable[[int], Iterator[Batch]],
    validate: Validate,
    config: TrainConfig,
    folder: str | Path,
    *,
    report: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train ``model``; keep the checkpoint that validation finds best.

    Interrupted runs go on from the last validation when called again with the same folder and
    configuration; a finished run is loaded, not repeated. On return ``model`` holds the best
    weights.

    Args:
        model: as initialised with ``config.seed`` by the caller.
        batches: ``batches(epoch)`` yields mappings with ``images``, ``input_ids``,
            ``attention_mask``, ``is_normal`` and ``ids`` (named in errors).
        validate: called with the model in eval mode without gradients; gives ``config.select``.
        config: every setting.
        folder: for checkpoints and log; written atomically.
        report: gets one line a validation, for example ``print``.

    Raises:
        ValueError: ``folder`` holds a run of another configuration, an epoch has no
            batch, or validation does not give ``config.select``.
        FloatingPointError: the loss is not finite; the message names step and studies.
    """
    accelerator = Accelerator()
    if accelerator.num_processes > 1:
        raise ValueError(
            f"num_processes: expected 1, got {accelerator.num_processes}; negatives are not yet "
            "gathered over processes, start one process"
        )
    folder = Path(folder)
    write_config(folder, model, config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    torch.manual_seed(config.seed)
    progress = resume(folder, model, optimizer)
    stream = _stream(batches, skip=progress.step)
    started = time.perf_counter() - progress.seconds
    since: list[dict[str, float]] = []
    while progress.step < config.steps:
        batch = next(stream)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, progress.step)
        since.append(_step(model, optimizer, batch, config, accelerator, progress.step))
        progress.step += 1
        if progress.step % config.validate_every and progress.step < config.steps:
            continue
        metrics = _validated(model, validate, config)
        losses = {f"loss_{name}": fmean(terms[name] for terms in since) for name in since[0]}
        entry: Metrics = {"step": progress.step, **losses, **metrics}
        since = []
        entry["learning_rate"] = learning_rate(config, progress.step - 1)
        entry["seconds"] = progress.seconds = time.perf_counter() - started
        progress.log.append(entry)
        if not progress.best or metrics[config.select] > progress.best[config.select]:
            progress.best = {"step": progress.step, **metrics}
            save_weights(folder / "best.safetensors", accelerator.unwrap_model(model))
        save_progress(folder, progress, model, optimizer)
        if report:
            report(_line(entry, config))
    return _finish(folder, accelerator.unwrap_model(model), progress)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up over ``warmup · steps`` steps, then a cosine down to zero."""
    warmup = config.warmup * config.steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1.0, config.steps - warmup)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


def _stream(batches: Callable[[int], Iterator[Batch]], skip: int) -> Iterator[Batch]:
    """Batches of epoch 0, 1, …, without the first ``skip``."""
    epoch = seen = 0
    while True:
        before = seen
        for batch in batches(epoch):
            seen += 1
            if seen > skip:
                yield batch
        if seen == before:
            raise ValueError(
                "batches: an epoch gave no batch; there are fewer studies than batch_size"
            )
        epoch += 1


def _step(
    model: ImageTextModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    accelerator: Accelerator,
    step: int,
) -> dict[str, float]:
    model.train()
    inputs = {
        name: value.to(accelerator.device)
        for name, value in batch.items()
        if isinstance(value, Tensor)
    }
    is_normal = inputs.pop("is_normal")
    with accelerator.autocast():
        scores, cosines = model.with_tokens(**inputs) if config.tier else (model(**inputs), None)
    terms = objective(config, scores, is_normal)
    if cosines is not None:
        terms = with_tier(config, terms, cosines, inputs["attention_mask"])
    if not terms["total"].isfinite():
        raise FloatingPointError(
            f"loss: {terms['total'].item()} at step {step} with studies "
            f"{', '.join(map(str, batch['ids'][:5]))}, …; lower learning_rate (now "
            f"{config.learning_rate}) or look for non-finite pixels in these studies"
        )
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(terms["total"])
    accelerator.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimizer.step()
    return {name: term.item() for name, term in terms.items()}


def _validated(model: ImageTextModel, validate: Validate, config: TrainConfig) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        metrics = validate(model)
    if config.select not in metrics:
        raise ValueError(
            f"select: expected one of the validation metrics {', '.join(metrics)}; "
            f"got {config.select!r}"
        )
    return metrics


def _line(entry: Metrics, config: TrainConfig) -> str:
    return (
        f"step {entry['step']:>5.0f}/{config.steps}  loss {entry['loss_total']:.3f}  "
        f"{config.select} {entry[config.select]:.3f}  {entry['seconds']:.0f} s"
    )


def write_config(folder: Path, model: ImageTextModel, config: TrainConfig) -> None:
    """Write both configurations, or raise if ``folder`` holds a run of other ones."""
    dump = {"train": dataclasses.asdict(config), "model": dataclasses.asdict(model.config)}
    dump = json.loads(json.dumps(dump))
    path = folder / "config.json"
    if not path.exists():
        write_json(path, dump)
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


def _finish(folder: Path, model: ImageTextModel, progress: Progress) -> TrainResult:
    load_weights(folder / "best.safetensors", model)
    model.eval()
    return TrainResult(folder, progress.best, progress.log, progress.seconds)
