"""Losses of a cosine head on large batches, against open_clip's and Inf-CL's where installed.

    python -m benchmarks.large_batch --device cuda --sizes 8192 32768 --record losses.csv

Forward and backward from features of length 512 in float32, in alternating rounds. ``plain`` makes
the matrix of scores, as open_clip does; ``chunked`` does not. Before anything is timed, values are
compared. The peak is what a call adds to its inputs.
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks._memory import peak_bytes
from benchmarks._notes import ROUNDS, Notes, ratios, speed_parser
from offclip import losses
from offclip.scores import use_exact_float32

DIM, SCALE, BIAS = 512, 14.3, -10.0
Loss = Callable[[Tensor, Tensor], Tensor]


def peer(module: str, name: str) -> Any:
    """A name of another package, or None where the package is not installed."""
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        return None


def softmax_losses(flags: Tensor, chunk_size: int) -> dict[str, Loss]:
    """InfoNCE by every implementation at hand, the peer last."""
    found: dict[str, Loss] = {
        "chunked_info_nce": lambda i, t: losses.chunked_info_nce(
            i, t, SCALE, chunk_size=chunk_size
        ),
        "info_nce": lambda i, t: losses.info_nce(SCALE * i @ t.T),
    }
    if inf_cl := peer("inf_cl", "cal_inf_loss"):
        found["Inf-CL"] = lambda i, t: inf_cl(i, t, scale=SCALE)
    if open_clip := peer("open_clip.loss", "ClipLoss"):
        found["open_clip ClipLoss"] = lambda i, t: open_clip()(i, t, torch.tensor(SCALE).to(i))
    return found


def sigmoid_losses(flags: Tensor, chunk_size: int) -> dict[str, Loss]:
    """The sigmoid form, ours with OFF-CLIP's targets; open_clip's with the identity."""
    named: dict[str, Any] = {"is_normal": flags, "form": "bce"}
    found: dict[str, Loss] = {
        "chunked_off_diagonal_loss bce": lambda i, t: losses.chunked_off_diagonal_loss(
            i, t, SCALE, BIAS, chunk_size=chunk_size, **named
        ),
        "off_diagonal_loss bce": lambda i, t: losses.off_diagonal_loss(
            SCALE * i @ t.T + BIAS, **named
        ),
    }
    if open_clip := peer("open_clip.loss", "SigLipLoss"):
        scale, bias = (torch.tensor(each).to(flags.device) for each in (SCALE, BIAS))
        found["open_clip SigLipLoss"] = lambda i, t: open_clip()(i, t, scale, bias)
    return found


def offclip_losses(flags: Tensor, chunk_size: int) -> dict[str, Loss]:
    """Both terms, with the matrix of scores and without."""
    criterion = losses.OffClipCriterion()
    return {
        "chunked_offclip_loss": lambda i, t: (
            losses.chunked_offclip_loss(i, t, SCALE, is_normal=flags, chunk_size=chunk_size).total
        ),
        "OffClipCriterion": lambda i, t: criterion(i, t, SCALE, is_normal=flags),
    }


def main() -> None:
    """Compare, measure and print; with ``--record`` write evidence."""
    parser = speed_parser(__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1024, 4096])
    parser.add_argument("--chunk-size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    use_exact_float32()
    notes = Notes(options, {"dim": DIM, "chunk_size": options.chunk_size}, head="cosine",
                  dataset="random_features")  # fmt: skip
    for size in options.sizes:
        generator = torch.Generator().manual_seed(0)
        images, texts = (
            normalize(torch.randn(size, DIM, generator=generator), dim=1)
            .to(options.device)
            .requires_grad_()
            for _ in range(2)
        )
        flags = torch.arange(size, device=options.device) < size // 2
        for group in (softmax_losses, sigmoid_losses, offclip_losses):
            compare_group(group(flags, options.chunk_size), images, texts, options, notes)


def compare_group(
    group: dict[str, Loss], images: Tensor, texts: Tensor, options: Any, notes: Notes
) -> None:
    """Times and peaks of losses, the last one the peer."""

    def step(loss: Loss) -> Tensor:
        images.grad = texts.grad = None
        value = loss(images, texts)
        value.backward()
        return value.detach()

    calls = {name: partial(step, loss) for name, loss in group.items()}
    values = {name: float(call()) for name, call in calls.items()}
    against, size = list(calls)[-1], len(images)
    same = all(abs(value / values[against] - 1) < 1e-4 for value in values.values())
    if not same and "SigLip" not in against:
        raise SystemExit(f"losses: expected the same value of all, got {values}")
    peaks = {name: peak_bytes(call, options.device) for name, call in calls.items()}
    times = ratios(options.device, calls, options.rounds)
    detail = f"forward and backward, N = {size}, float32"
    for name, (median, ratio, low, high) in times.items():
        about: dict[str, Any] = {"variant": name, "n": size}
        notes.add("seconds", median, "s", detail=detail, **about)
        notes.add("peak_memory", peaks[name] / 2**20, "MiB", detail=detail, **about)
        if name == against:
            continue
        about["detail"] = f"{against}, {detail}"
        notes.add("memory_over_peer", peaks[name] / peaks[against], "×", **about)
        about |= {"interval": (low, high), "method": ROUNDS}
        notes.add("speed_over_peer", ratio, "×", **about)


if __name__ == "__main__":
    main()
