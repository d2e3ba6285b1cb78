"""The cross-attention head and the word pieces next to the published code, in one run.

    git clone https://github.com/laihaoran/CARZero ../CARZero
    python -m benchmarks.published_head --published ../CARZero [--sizes 32] [--device cuda]
        [--record book/results/published_head.csv]

All ways have the same weights, inputs, precision and device. Before anything is timed, values and
gradients are compared: those of the published code in float32 are the truth, and ours may not be
further from it than rounding, or than twice the published code at the same precision. Times
alternate between the ways; a ratio is that of medians, its interval the smallest and the largest
ratio of one round. Without ``--published`` the projected way takes the place of the truth.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._head import (
    PATCHES,
    PEER,
    PUBLISHED,
    SLOTS,
    Setting,
    distances,
    forced,
    new_features,
    new_head,
    theirs,
    train_step,
    ways,
)
from benchmarks._memory import peak_bytes
from benchmarks._notes import ROUNDS, Notes, Ratio, ratios, speed_parser
from benchmarks._published import published_head, published_words
from offclip.models.published.text import word_sums
from offclip.scores import use_exact_float32

PROMPTS, PIECES = (14, 193), 10
ROUNDING = 1e-4
PRECISIONS = ("float32", "bfloat16", "float16")
QUERIES = (16, 32, 48, 64, 96, 128, 192)


def compare(name: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Hold our distances from the published values in float32 against theirs.

    Raises:
        SystemExit: one is larger than rounding in float32, and than twice theirs.
    """
    for mine, peer in zip(ours, theirs, strict=True):
        if not mine <= max(ROUNDING, 2 * peer):
            raise SystemExit(
                f"{name}: expected the published values up to {max(ROUNDING, 2 * peer):.1e} "
                f"of their norm, got {mine:.1e}"
            )


class Head:
    """The head's measurements, and the notes that they go to."""

    def __init__(self, notes: Notes, rounds: int):
        self.notes, self.rounds = notes, rounds

    def note(self, task: str, way: str, n: int, times: Ratio, *, peer: str | None) -> None:
        """Seconds of a way, and its ratio to the peer."""
        median, ratio, low, high = times
        about: dict[str, Any] = {"variant": way, "n": n}
        self.notes.add("seconds", median, "s", detail=task, **about)
        if peer:
            about |= {"interval": (low, high), "method": ROUNDS}
            self.notes.add("speed_over_peer", ratio, "×", detail=f"{peer}, {task}", **about)

    def memory(self, setting: Setting) -> None:
        """Peak memory of a training step."""
        sides = new_features(setting, setting.size, setting.size)
        found = {
            name: peak_bytes(partial(train_step, setting, way, sides), setting.device)
            for name, way in ways(setting).items()
        }
        task = f"forward and backward, {setting}"
        for name, peak in found.items():
            about: dict[str, Any] = {"variant": name, "n": setting.size}
            self.notes.add("peak_memory", peak / 2**20, "MiB", detail=task, **about)
            if "published" in found and name != "published":
                share = peak / found["published"]
                self.notes.add("memory_over_peer", share, "×", detail=f"{PEER}, {task}", **about)

    def step(self, setting: Setting, *, compiled: bool) -> None:
        """Forward and backward."""
        each = ways(setting, compiled=compiled)
        sides = new_features(setting, setting.size, setting.size)
        truth = "published" if setting.published else "ours, projected"
        exact = train_step(replace(setting, precision="float32"), each[truth], sides)
        allowed = distances(train_step(setting, each[truth], sides), exact)
        for name, way in each.items():
            compare(name, distances(train_step(setting, way, sides), exact), allowed)
        calls = {n: lambda way=way: train_step(setting, way, sides) for n, way in each.items()}
        peer = PEER if setting.published else None
        for name, times in ratios(setting.device, calls, self.rounds).items():
            against = peer if name != "published" else None
            self.note(f"forward and backward, {setting}", name, setting.size, times, peer=against)

    @torch.no_grad()
    def scoring(self, setting: Setting, images: int, prompts: int) -> None:
        """Zero-shot scores of an image: all images at once here, one at a time as published."""
        head, sides, few = new_head(setting), new_features(setting, images, prompts), min(images, 2)
        assert setting.published
        peer = theirs(published_head(setting.published, head).to(setting.device))

        def alone() -> Tensor:
            with setting.autocast():
                return torch.cat([peer(one, sides[1]).mean for one in sides[0].split(1)[:few]])

        def batch() -> Tensor:
            with setting.autocast():
                return head(*sides).mean

        exact = peer(sides[0].split(few)[0], sides[1]).mean
        compare("scores", distances([batch()[:few]], [exact]), distances([alone()], [exact]))
        units = {"ours": images, "published": few}
        task = f"scoring an image, {prompts} prompts, {setting.precision}"
        found = ratios(setting.device, {"ours": batch, "published": alone}, self.rounds, units)
        for name, times in found.items():
            self.note(task, name, units[name], times, peer=PEER if name == "ours" else None)

    @torch.no_grad()
    def words(self, setting: Setting) -> None:
        """Word pieces to words for a batch of texts, four layers."""
        generator = torch.Generator().manual_seed(2)
        words = {0: "[PAD]", 1: "[CLS]", 2: "[SEP]"} | {
            i: f"##{i}" if i % 3 == 0 else str(i) for i in range(3, 99)
        }
        ids = torch.zeros(setting.size, SLOTS, dtype=torch.long)
        for row in ids:
            length = int(torch.randint(PIECES, SLOTS - 2, (1,), generator=generator))
            row[0], row[length] = 1, 2
            row[1:length] = torch.randint(3, 99, (length - 1,), generator=generator)
        states = torch.randn(setting.size, 4, SLOTS, PUBLISHED.dim, generator=generator)
        ids, states = ids.to(setting.device), states.to(setting.device)
        continues = torch.tensor([words[i].startswith("##") for i in range(99)]).to(setting.device)
        assert setting.published
        published, layers = published_words(setting.published, words), states.unbind(1)
        calls: dict[str, Callable[[], Tensor]] = {
            "ours": lambda: word_sums(sum(layers), ids, continues, 2, SLOTS),
            "published": lambda: published(states, ids).sum(dim=1),
        }
        compare("words", distances([calls["ours"]()], [calls["published"]()]), [0.0])
        peer = "CARZero aggregate_tokens"
        for name, times in ratios(setting.device, calls, self.rounds).items():
            against = peer if name == "ours" else None
            self.note(f"{setting.size} texts", name, setting.size, times, peer=against)

    def crossing(self, setting: Setting, queries: Sequence[int]) -> None:
        """Queries up to which the absorbed way of a layer is the faster one."""
        head = new_head(setting)
        logs, task = [], f"one layer, {setting.size} images, {setting.precision}"
        shape = setting.size, 1 + PATCHES, PUBLISHED.dim
        memory = torch.randn(*shape, device=setting.device, requires_grad=True)
        for count in queries:
            x = torch.randn(1, count, PUBLISHED.dim, device=setting.device, requires_grad=True)

            def call(absorbed: bool, x: Tensor = x) -> None:
                forced(head, absorbed=absorbed)
                with setting.autocast():
                    out: Tensor = head.layers[0](x, memory)
                out.float().sum().backward()

            both = {"absorbed": partial(call, True), "projected": partial(call, False)}
            ratios(setting.device, both, 2)  # warms up
            _, ratio, low, high = ratios(setting.device, both, self.rounds)["absorbed"]
            logs.append(math.log(ratio))
            self.notes.add("speed_over_projected", ratio, "×", variant="ours, absorbed", n=count,
                           detail=f"{count} queries, {task}", interval=(low, high),
                           method=ROUNDS)  # fmt: skip
        if (crossing := zero_between(queries, logs)) is not None:
            self.notes.add("crossing", crossing, "queries", detail=task, n=setting.size)


def zero_between(places: Sequence[float], values: Sequence[float]) -> float | None:
    """First place where falling values pass 0, by a line between neighbours; None: they do not."""
    for i in range(len(places) - 1):
        (a, b), (x, y) = values[i : i + 2], places[i : i + 2]
        if a > 0 >= b:
            return x + (y - x) * a / (a - b)
    return None


def _memory(head: Head, at: Sequence[Setting], options: argparse.Namespace) -> None:
    for setting in at:
        head.memory(setting)


def _steps(head: Head, at: Sequence[Setting], options: argparse.Namespace) -> None:
    for setting in at:
        for size in options.sizes:
            compiled = options.compile and size == setting.size
            head.step(replace(setting, size=size), compiled=compiled)


def _crossing(head: Head, at: Sequence[Setting], options: argparse.Namespace) -> None:
    for setting in at:
        head.crossing(replace(setting, size=min(64, setting.size)), options.queries)


def _scoring(head: Head, at: Sequence[Setting], options: argparse.Namespace) -> None:
    for setting in at:
        for prompts in PROMPTS:
            head.scoring(setting, options.images, prompts)


def _words(head: Head, at: Sequence[Setting], options: argparse.Namespace) -> None:
    head.words(at[0])


PARTS = {
    "memory": _memory, "step": _steps, "crossing": _crossing, "scoring": _scoring, "words": _words,
}  # fmt: skip
NEED_PEER = {"scoring", "words"}


def main() -> None:
    """Check, measure, print, and write the records if a path is given."""
    parser = speed_parser(__doc__)
    parser.add_argument("--published", type=Path, help="clone of CARZero")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float32"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[32], help="images of a batch")
    parser.add_argument("--queries", nargs="+", type=int, default=QUERIES, help="of a crossing")
    parser.add_argument("--images", type=int, default=64, help="of zero-shot scoring")
    parser.add_argument("--compile", action="store_true", help="compiled layers, largest batch")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts; default: all possible")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    possible = [part for part in PARTS if options.published or part not in NEED_PEER]
    parts = options.only or possible
    if missing := set(parts) - set(possible):
        parser.error(f"--published: expected a clone of CARZero for {', '.join(sorted(missing))}")
    use_exact_float32()
    fields = {"dataset": "random_features", "head": "cross_attention"}
    head = Head(Notes(options, {"sizes": options.sizes}, **fields), options.rounds)
    at = [
        Setting(options.published, options.device, precision, max(options.sizes))
        for precision in options.precision
    ]
    for part in parts:
        PARTS[part](head, at, options)


if __name__ == "__main__":
    main()
