"""A whole OFF-CLIP training step of the published architecture, against the arithmetic it needs.

    python -m benchmarks.full_step --sizes 4 8 16 --record book/results/full_step.csv
    python -m benchmarks.full_step --device cuda --precision bfloat16 \\
        --sizes 32 64 128 256 --largest --compile --record book/results/full_step_gpu.csv

ViT-B/16, BERT-base, the cross-attention head, ``offclip_loss`` and AdamW, with random weights and
inputs; sentences have 12 to 24 tokens. ``97 slots``: BERT reads every text padded to 97, as the
published code lets it; ``ours`` pads to the longest of the batch, with the same scores, which are
compared first. The floor is the step's multiplications, counted by PyTorch, at
the rate that this machine multiplies large matrices of the same precision in the same run.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.chunked_losses import clean_commit
from offclip.evaluation import Record, config_hash, device_name, write_evidence
from offclip.models import Features, PublishedCARZero, PublishedConfig
from offclip.training import Objective, TrainConfig
from offclip.training.watch import memory_gib

VOCABULARY, SEPARATOR = 30_000, 3
SLOTS = PublishedConfig(vocabulary=VOCABULARY).text_length
MATRIX = {"cpu": 3072, "cuda": 8192}  # side of the matrices that the machine's rate is measured on
INPUTS = ("images", "input_ids", "attention_mask")
Batch = Mapping[str, Tensor]


def new_objective(device: str, precision: str, **sizes: Any) -> Objective:
    """Model and loss; on the device "meta" without any memory."""
    torch.manual_seed(0)
    with torch.device(device):
        model = PublishedCARZero(PublishedConfig(vocabulary=VOCABULARY, **sizes))
        model.text_tower.continues = torch.zeros(VOCABULARY, dtype=torch.bool)
    model.text_tower.separator = SEPARATOR
    return Objective(model, TrainConfig(precision=precision))


def new_batch(size: int, device: str, slots: int = 0) -> Batch:
    """Random pictures and sentences; texts padded to ``slots``, or to the longest of them."""
    generator = torch.Generator().manual_seed(size)
    lengths = torch.randint(12, 25, (size,), generator=generator)
    places = torch.arange(slots or int(lengths.max()))
    ids = torch.randint(4, VOCABULARY, (size, SLOTS), generator=generator)[:, : len(places)]
    ids[torch.arange(size), lengths - 1] = SEPARATOR
    batch = {
        "images": torch.randn(size, 3, 224, 224, generator=generator),
        "input_ids": torch.where(places < lengths[:, None], ids, 0),
        "attention_mask": (places < lengths[:, None]).long(),
        "is_normal": torch.arange(size) < size // 2,
    }
    return {name: value.to(device) for name, value in batch.items()}


def operations(size: int) -> int:
    """Floating-point operations from the batch to the scores and back, nothing computed twice.

    The towers' are counted for one study and grow with the batch; the head's for all pairs.
    """
    model = new_objective("cpu", "float32").model
    one = {name: value[:1] for name, value in new_batch(size, "cpu").items()}
    with FlopCounterMode(display=False) as towers:
        read = model.encode_texts(one["input_ids"], one["attention_mask"])
        (model.encode_images(one["images"]).tokens.sum() + read.tokens.sum()).backward()
    with torch.device("meta"):
        sides = [
            Features(torch.empty(size, model.config.dim, requires_grad=True),
                     torch.empty(size, tokens, model.config.dim, requires_grad=True))
            for tokens in (model.config.grid**2, SLOTS)
        ]  # fmt: skip
    head = model.head.to("meta")
    head.pairs_at_once = size * size
    with FlopCounterMode(display=False) as pairs:
        head(*sides).mean.sum().backward()
    return size * towers.get_total_flops() + pairs.get_total_flops()


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def multiplication_rate(device: str, precision: str) -> float:
    """Floating-point operations a second of large matrix products, the best of ten."""
    side, kind = MATRIX[device], getattr(torch, precision)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        wait(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


def step_seconds(objective: Any, batch: Batch, device: str, rounds: int) -> list[float]:
    """Seconds of so many whole steps; one more before them does not count."""
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-5)
    taken = []
    for _ in range(1 + rounds):
        wait(device)
        start = time.perf_counter()
        objective(**batch)["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait(device)
        taken.append(time.perf_counter() - start)
    return taken[1:]


@torch.no_grad()
def compare(objective: Objective, device: str, precision: str) -> None:
    """Stop unless both paddings give the same scores, as far as the precision goes."""
    model = objective.model.eval()
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
        short, long = (
            model.scores(*(b[n] for n in INPUTS)).mean.float()
            for b in (new_batch(4, device), new_batch(4, device, SLOTS))
        )
    distance = ((short - long).norm() / long.norm()).item()
    if distance > {"float32": 1e-4, "bfloat16": 5e-2}[precision]:
        raise SystemExit(f"the two paddings differ by {distance:.2g}")
    model.train()


def largest_batch(objective: Objective, device: str) -> int:
    """The largest batch of a power of two that fits."""
    size = 32
    while True:
        try:
            step_seconds(objective, new_batch(2 * size, device), device, rounds=1)
        except torch.OutOfMemoryError:
            return size
        size *= 2


def main() -> None:
    """Measure and print; with ``--record`` write evidence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--sizes", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--largest", action="store_true", help="look for the largest batch")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    commit, device = clean_commit() if options.record else "", options.device
    objective = new_objective(device, options.precision)
    compare(objective, device, options.precision)
    base = Record(
        dataset="random", split="train", variant="ours", prompting=None, head="cross_attention",
        metric="", detail="", seed=0, value=0.0, unit="", interval=None, interval_method=None, n=0,
        config=config_hash({"precision": options.precision}), commit=commit,
        device=device_name(device), minutes=0.0,
    )  # fmt: skip
    records: list[Record] = []

    def note(metric: str, value: float, unit: str, **given: Any) -> None:
        record = replace(base, metric=metric, value=value, unit=unit, **given)
        records.append(record)
        print(f"N = {record.n:5}  {record.variant:10} {metric:24} {value:10.3f} {unit}", flush=True)

    rate = multiplication_rate(device, options.precision)
    side = MATRIX[device]
    note(
        "multiplication_rate", rate / 1e12, "TFLOP/s", n=side, detail=f"{side}, {options.precision}"
    )
    variants: dict[str, tuple[Any, int]] = {"ours": (objective, 0), "97 slots": (objective, SLOTS)}
    if options.compile:
        variants["compiled"] = (torch.compile(objective), 0)
    for size in sorted(options.sizes):
        floor = operations(size) / rate
        about = {"n": size, "detail": f"N = {size}, {options.precision}"}
        note("step_floor", floor, "s", **about)
        for name, (way, slots) in variants.items():
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            taken = step_seconds(way, new_batch(size, device, slots), device, options.rounds)
            median, about["variant"] = statistics.median(taken), name
            bounds = {"interval": (min(taken), max(taken)), "interval_method": "rounds"}
            note("step", median, "s", **about, **bounds)
            note("peak_memory", memory_gib(device), "GiB", **about)
            if name == "ours":
                note("share_of_multiplication_rate", floor / median, "", **about)
    if options.largest:
        found = largest_batch(objective, device)
        note(
            "largest_batch", found, "studies", n=found, detail=f"power of two, {options.precision}"
        )
    if options.record:
        print(f"wrote {write_evidence(options.record, records)}")


if __name__ == "__main__":
    main()
