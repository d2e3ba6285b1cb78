"""A full OFF-CLIP training step of the published architecture, against the arithmetic it needs.

    python -m benchmarks.full_step --sizes 4 8 16 --record book/results/full_step.csv
    python -m benchmarks.full_step --device cuda --precision bfloat16 \\
        --sizes 64 256 512 --largest 2048 --compile --record book/results/full_step_gpu.csv

ViT-B/16, BERT-base, the cross-attention head, ``offclip_loss`` and AdamW, with random weights and
inputs; sentences have 12 to 24 tokens. ``97 slots``: BERT reads every text padded to 97, as the
published code lets it; ``ours`` pads to the longest of the batch, with the same scores, which are
compared first. The floor is the step's multiplications, counted by PyTorch, at
the rate that this machine multiplies large matrices of the same precision in the same run.
"""

import statistics
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._notes import ROUNDS, Notes, seconds, speed_parser
from benchmarks.device import SIDE, product_rates
from offclip.models import Features, PublishedCARZero, PublishedConfig
from offclip.scores import use_exact_float32
from offclip.training import Objective, TrainConfig
from offclip.training.watch import memory_gib

VOCABULARY, SEPARATOR = 30_000, 3
SLOTS = PublishedConfig(vocabulary=VOCABULARY).text_length
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


def operations(size: int, **sizes: Any) -> int:
    """Floating-point operations from the batch to the scores and back, nothing computed twice.

    The towers' are counted for one study and grow with the batch; the head's for all pairs.
    """
    model = new_objective("cpu", "float32", **sizes).model
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
    head.pairs_at_once = size * size  # no chunks: nothing twice
    with FlopCounterMode(display=False) as pairs:
        head(*sides).mean.sum().backward()
    return size * towers.get_total_flops() + pairs.get_total_flops()


def step_seconds(objective: Any, batch: Batch, device: str, rounds: int) -> list[float]:
    """Seconds of so many full steps; one more before them does not count."""
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-5)

    def step() -> None:
        objective(**batch)["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return [seconds(device, step) for _ in range(1 + rounds)][1:]


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


def largest_batch(objective: Objective, device: str, cap: int) -> int:
    """The largest batch of a power of two that fits, up to ``cap``."""
    size = 32
    while 2 * size <= cap:
        try:
            step_seconds(objective, new_batch(2 * size, device), device, rounds=1)
        except torch.OutOfMemoryError:
            break
        size *= 2
    return size


def main() -> None:
    """Measure and print; with ``--record`` write evidence."""
    parser = speed_parser(__doc__)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--sizes", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument(
        "--largest", type=int, default=0, help="look for the largest batch up to it"
    )
    parser.add_argument("--layers", type=int, default=12, help="of both towers")
    options = parser.parse_args()
    use_exact_float32()
    device, precision = options.device, options.precision
    objective = new_objective(device, precision, layers=options.layers)
    compare(objective, device, precision)
    notes = Notes(options, {"precision": precision, "layers": options.layers}, dataset="random",
                  split="train", head="cross_attention")  # fmt: skip
    rate = max(product_rates(device, precision)) * 1e12
    side = SIDE[device]
    notes.add("multiplication_rate", rate / 1e12, "TFLOP/s", n=side, detail=f"{side}, {precision}")
    variants: dict[str, tuple[Any, int]] = {"ours": (objective, 0), "97 slots": (objective, SLOTS)}
    if options.compile:
        variants["compiled"] = (torch.compile(objective), 0)
    for size in sorted(options.sizes):
        floor = operations(size, layers=options.layers) / rate
        about: dict[str, Any] = {"n": size, "detail": f"N = {size}, {precision}"}
        notes.add("step_floor", floor, "s", **about)
        for name, (way, slots) in variants.items():
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            taken = step_seconds(way, new_batch(size, device, slots), device, options.rounds)
            median, about["variant"] = statistics.median(taken), name
            bounds = {"interval": (min(taken), max(taken)), "method": ROUNDS}
            notes.add("step", median, "s", **about, **bounds)
            notes.add("peak_memory", memory_gib(device), "GiB", **about)
            if name != "97 slots":
                notes.add("share_of_multiplication_rate", floor / median, **about)
    if options.largest:
        found = largest_batch(objective, device, options.largest)
        notes.add("largest_batch", found, "studies", n=found, detail=f"power of two, {precision}")


if __name__ == "__main__":
    main()
