"""The cross-attention head and the word pieces beside the published code, in one run.

    git clone https://github.com/laihaoran/CARZero ../CARZero
    python -m benchmarks.published_head --published ../CARZero [--size 256] [--device cuda]
        [--record book/results/published_head.csv]

Both sides have the same weights, inputs, precision and device. Before anything is timed, values
and gradients are compared: those of the published code in float32 are the truth, and ours may not
be further from it than rounding, or than twice the published code at the same precision. Times
alternate between the two sides; a ratio is that of their medians, its interval the smallest and the
largest ratio of one round. On a CPU the peak memory is that of a process of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._published import published_head, published_words
from benchmarks.chunked_losses import clean_commit
from offclip.evaluation import Record, config_hash, device_name, write_evidence
from offclip.losses import info_nce
from offclip.models import Features
from offclip.models.heads import CrossAttentionHead
from offclip.models.published import PublishedConfig
from offclip.models.published.text import word_sums
from offclip.scores import PairScores
from offclip.training.watch import process_gib

PUBLISHED = PublishedConfig(vocabulary=0)
PATCHES, SLOTS, PROMPTS, PIECES = 196, PUBLISHED.text_length, 193, 10
EVERYTHING = 2**40  # pairs at once: no chunks, nothing computed twice
ROUNDING = 1e-4
PRECISIONS = ("float32", "bfloat16", "float16")
WAYS = ("ours", "ours, recomputed", "published")


@dataclass(frozen=True)
class Setting:
    """What both sides get."""

    published: Path
    device: str
    precision: str
    size: int

    def autocast(self) -> Any:
        """The same precision on both sides."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device, dtype=getattr(torch, self.precision))


def new_head(setting: Setting) -> CrossAttentionHead:
    """Our head in the published size, in eval mode."""
    torch.manual_seed(0)
    head = CrossAttentionHead(
        PUBLISHED.dim,
        heads=PUBLISHED.fusion_heads,
        layers=PUBLISHED.fusion_layers,
        feedforward=PUBLISHED.fusion_feedforward,
        hidden=PUBLISHED.hidden,
    )
    return head.to(setting.device).eval()


def new_features(setting: Setting, images: int, texts: int) -> tuple[Features, Features]:
    """Random features of both sides that ask for gradients."""
    generator = torch.Generator().manual_seed(1)

    def side(count: int, tokens: int) -> Features:
        made = torch.randn(count, 1 + tokens, PUBLISHED.dim, generator=generator)
        pooled, local = (part.to(setting.device) for part in (made[:, 0], made[:, 1:]))
        return Features(pooled.clone().requires_grad_(), local.clone().requires_grad_())

    return side(images, PATCHES), side(texts, SLOTS)


def ours(head: CrossAttentionHead) -> Callable[[Features, Features], PairScores]:
    """Our way from features to scores."""
    return lambda images, texts: head(images, texts)


def theirs(head: torch.nn.Module) -> Callable[[Features, Features], PairScores]:
    """The published way: ``CARZeroDQNWOSAGLMLP.forward``."""

    def call(images: Features, texts: Features) -> PairScores:
        def rows(side: Features, other: Features) -> Tensor:
            memory = torch.cat([side.pooled.unsqueeze(1), side.tokens], dim=1)
            scores: Tensor = head(memory, other.pooled).squeeze(-1)
            return scores

        return PairScores(rows(images, texts), rows(texts, images))

    return call


def ways(setting: Setting) -> dict[str, Callable[[Features, Features], PairScores]]:
    """Every way to the same scores, the published one last."""
    head, again = new_head(setting), new_head(setting)
    head.pairs_at_once = EVERYTHING
    again.pairs_at_once = max(1, setting.size // 8) * setting.size
    peer = published_head(setting.published, head).to(setting.device)
    return dict(zip(WAYS, (ours(head), ours(again), theirs(peer)), strict=True))


def train_step(
    setting: Setting, way: Callable[[Features, Features], PairScores], sides: Any
) -> list[Tensor]:
    """Both score matrices, and the gradients of CARZero's loss for all features."""
    for side in sides:
        side.pooled.grad = side.tokens.grad = None
    with setting.autocast():
        scores = way(*sides)
    loss = info_nce(scores.image_to_text.float()) + info_nce(scores.text_to_image.float())
    loss.backward()
    grads = [grad.clone() for side in sides for grad in (side.pooled.grad, side.tokens.grad)]
    return [scores.image_to_text.detach(), scores.text_to_image.detach(), *grads]


def distances(found: Sequence[Tensor], exact: Sequence[Tensor]) -> list[float]:
    """Norm of each tensor's difference, relative to the norm of the exact one."""
    pairs = zip(found, exact, strict=True)
    return [float((a.float() - b).norm() / b.norm()) for a, b in pairs]


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


def seconds(setting: Setting, call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, the device's queue included."""
    wait = torch.cuda.synchronize if setting.device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def ratios(
    setting: Setting,
    calls: dict[str, Callable[[], Any]],
    rounds: int,
    units: Mapping[str, int] | None = None,
) -> dict[str, tuple[float, float, float, float]]:
    """By name: median seconds, ratio of the last call's median to its own, lowest and highest.

    ``units``: how many a call does, if seconds are to be for one of them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(setting, call) / (units[name] if units else 1))
    peer = list(times.values())[-1]
    found = {}
    for name, taken in times.items():
        each = [b / a for a, b in zip(taken, peer, strict=True)]
        median = statistics.median(taken)
        found[name] = (median, statistics.median(peer) / median, min(each), max(each))
    return found


def peak(setting: Setting, name: str) -> float:
    """MiB that one training step of a way needs above its inputs and weights."""
    call, sides = ways(setting)[name], new_features(setting, setting.size, setting.size)
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        train_step(setting, call, sides)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    train_step(setting, call, new_features(setting, 2, 2))
    before = process_gib()
    train_step(setting, call, sides)
    return 1024 * (process_gib() - before)


def peak_alone(setting: Setting, name: str) -> float:
    """:func:`peak` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak, setting, name).result()


def measure_step(setting: Setting, rounds: int, peaks: dict[str, float]) -> list[dict[str, Any]]:
    """Forward and backward of the head, with the peaks of memory known before."""
    each, sides = ways(setting), new_features(setting, setting.size, setting.size)
    exact = train_step(replace(setting, precision="float32"), each["published"], sides)
    theirs = distances(train_step(setting, each["published"], sides), exact)
    for name in WAYS[:2]:
        compare(name, distances(train_step(setting, each[name], sides), exact), theirs)
    calls = {n: lambda way=way: train_step(setting, way, sides) for n, way in each.items()}
    times = ratios(setting, calls, rounds)
    task = f"head, forward and backward, N = {setting.size}"
    return [
        {"task": task, "way": name, "seconds": times[name], "mebibytes": peaks[name],
         "lighter": peaks["published"] / max(1.0, peaks[name]), "n": setting.size}
        for name in each
    ]  # fmt: skip


@torch.no_grad()
def measure_scoring(setting: Setting, rounds: int, images: int) -> list[dict[str, Any]]:
    """Zero-shot scores of an image: all images at once here, one at a time as published."""
    head = new_head(setting)
    peer = theirs(published_head(setting.published, head).to(setting.device))
    sides = new_features(setting, images, PROMPTS)
    few = min(images, 2)

    def alone() -> Tensor:
        with setting.autocast():
            return torch.cat([peer(one, sides[1]).mean for one in sides[0].split(1)[:few]])

    def batch() -> Tensor:
        with setting.autocast():
            return head(*sides).mean

    exact = peer(sides[0].split(few)[0], sides[1]).mean
    compare("zero-shot scores", distances([batch()[:few]], [exact]), distances([alone()], [exact]))
    units = {"ours": images, "published": few}
    times = ratios(setting, {"ours": batch, "published": alone}, rounds, units)
    task = f"zero-shot scoring an image, {PROMPTS} prompts"
    return [{"task": task, "way": n, "seconds": t, "n": units[n]} for n, t in times.items()]


@torch.no_grad()
def measure_words(setting: Setting, rounds: int) -> list[dict[str, Any]]:
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
    published, layers = published_words(setting.published, words), states.unbind(1)
    calls = {
        "ours": lambda: word_sums(sum(layers), ids, continues, 2, SLOTS),
        "published": lambda: published(states, ids).sum(dim=1),
    }
    compare("words", distances([calls["ours"]()], [calls["published"]()]), [0.0])
    times = ratios(setting, calls, rounds)
    task = f"word pieces to words, {setting.size} texts"
    return [{"task": task, "way": n, "seconds": t, "n": setting.size} for n, t in times.items()]


def records(
    cases: list[dict[str, Any]], setting: Setting, commit: str, minutes: float
) -> list[Record]:
    """Ratios and absolute times as evidence."""
    made = []
    for case in cases:
        median, ratio, low, high = case["seconds"]
        detail = f"{case['task']}, {setting.precision}"
        rows = [("seconds", median, "s", None)]
        if "mebibytes" in case:
            rows.append(("peak_memory", case["mebibytes"], "MiB", None))
        if case["way"] != "published":
            rows.append(("speed_over_published", ratio, "×", (low, high)))
            if "lighter" in case:
                rows.append(("memory_of_published_over_ours", case["lighter"], "×", None))
        made += [
            Record(
                dataset="random_features", split="none", variant=case["way"], prompting=None,
                head="cross_attention", metric=metric, detail=detail, seed=0, value=value,
                unit=unit, interval=interval,
                interval_method=None if interval is None else "smallest and largest of the rounds",
                n=case["n"], config=config_hash({"size": setting.size}), commit=commit,
                device=device_name(setting.device), minutes=minutes,
            )
            for metric, value, unit, interval in rows
        ]  # fmt: skip
    return made


def main() -> None:
    """Check, measure, print, and write the records if a path is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--published", type=Path, required=True, help="clone of CARZero")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float32"])
    parser.add_argument("--size", type=int, default=32, help="images and texts of a batch")
    parser.add_argument("--images", type=int, default=64, help="of zero-shot scoring")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    commit = clean_commit() if options.record else ""
    settings = [
        Setting(options.published, options.device, precision, options.size)
        for precision in options.precision
    ]
    # First, as a process starts with the peak of the one that starts it.
    peaks = [{name: peak_alone(setting, name) for name in WAYS} for setting in settings]
    made: list[Record] = []
    for setting, peak_of in zip(settings, peaks, strict=True):
        start = time.perf_counter()
        cases = measure_step(setting, options.rounds, peak_of)
        cases += measure_scoring(setting, options.rounds, options.images)
        if setting.precision == "float32":
            cases += measure_words(setting, options.rounds)
        for case in cases:
            median, ratio, low, high = case["seconds"]
            memory = f"{case['mebibytes']:8.0f} MiB" if "mebibytes" in case else ""
            print(
                f"{setting.precision:9} {case['task']:45} {case['way']:17} {median:9.4f} s  "
                f"{ratio:6.2f} [{low:.2f}, {high:.2f}] {memory}",
                flush=True,
            )
        made += records(cases, setting, commit, (time.perf_counter() - start) / 60)
    if options.record:
        print(f"wrote {write_evidence(options.record, made)}")


if __name__ == "__main__":
    main()
