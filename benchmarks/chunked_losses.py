"""Time and peak memory of the plain and the chunked losses over the batch size, cosine head.

Run: ``python -m benchmarks.chunked_losses [--sizes 1024 … 32768] [--plain-up-to 8192]
[--record book/results/chunked_losses.csv]``. Each case runs forward and backward in a process of
its own, in float32. Its peak memory is counted above that of a process which did the same with a
batch of 8. Time is that of the processor, over all threads. The plain ``offclip`` makes its terms
once for each direction of the scores, as it has to for heads whose directions differ. All sizes
take about ten minutes on one core.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks._notes import clean_commit
from offclip.evaluation import RunInfo, config_hash, write_evidence
from offclip.losses import (
    chunked_info_nce,
    chunked_off_diagonal_loss,
    chunked_offclip_loss,
    info_nce,
    off_diagonal_loss,
    offclip_loss,
)
from offclip.scores import PairScores
from offclip.training.watch import process_gib

DIM, SCALE = 128, 14.3
SIZES = [1024, 2048, 4096, 8192, 16384, 32768]
IDLE = 8  # batch of the process whose memory is subtracted


def plain(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """From a loss on scores to one on features, flags and a chunk size that it does not use."""

    def loss(images: Tensor, texts: Tensor, scale: Tensor, is_normal: Tensor, _: int) -> Tensor:
        return call(scale * images @ texts.T, is_normal)

    return loss


LOSSES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "infonce": (
        plain(lambda scores, _: info_nce(scores)),
        lambda i, t, s, _, c: chunked_info_nce(i, t, s, chunk_size=c),
    ),
    "offdiag_bce": (
        plain(lambda scores, flags: off_diagonal_loss(scores, flags, form="bce")),
        lambda i, t, s, n, c: chunked_off_diagonal_loss(
            i, t, s, is_normal=n, form="bce", chunk_size=c
        ),
    ),
    "offdiag_soft": (
        plain(lambda scores, flags: off_diagonal_loss(scores, flags, form="soft_ce")),
        lambda i, t, s, n, c: chunked_off_diagonal_loss(
            i, t, s, is_normal=n, form="soft_ce", chunk_size=c
        ),
    ),
    "offclip": (
        plain(lambda scores, flags: offclip_loss(PairScores(scores, scores.T), flags).total),
        lambda i, t, s, n, c: chunked_offclip_loss(i, t, s, is_normal=n, chunk_size=c).total,
    ),
}


def measure(loss: str, way: str, size: int, chunk_size: int) -> dict[str, float]:
    """Seconds of one forward and backward pass, and the peak memory of this process in MiB."""
    generator = torch.Generator().manual_seed(0)
    images, texts = (
        normalize(torch.randn(size, DIM, generator=generator), dim=1).requires_grad_()
        for _ in range(2)
    )
    scale = torch.tensor(SCALE, requires_grad=True)
    call = LOSSES[loss][way == "chunked"]
    call(images[:IDLE], texts[:IDLE], scale, torch.arange(IDLE) < IDLE // 2, IDLE).backward()
    start = time.process_time()
    call(images, texts, scale, torch.arange(size) < size // 2, chunk_size).backward()
    seconds = time.process_time() - start
    return {"seconds": seconds, "mebibytes": 1024 * process_gib()}


def in_own_process(loss: str, way: str, size: int, chunk_size: int) -> dict[str, float]:
    """:func:`measure` in a fresh process."""
    case = json.dumps([loss, way, size, chunk_size])
    command = [sys.executable, "-m", "benchmarks.chunked_losses", "--case", case]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"case {case} ended with code {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def measure_all(sizes: list[int], plain_up_to: int, chunk_size: int) -> list[dict[str, Any]]:
    """Every loss in both ways at every size that it may take; a line is printed for each."""
    cases = []
    print(f"{'loss':<14}{'way':<10}{'batch':>7}{'seconds':>10}{'peak MiB':>10}")
    for loss in LOSSES:
        for way in ("plain", "chunked"):
            idle = in_own_process(loss, way, IDLE, chunk_size)["mebibytes"]
            for size in sizes:
                if way == "plain" and size > plain_up_to:
                    continue
                measured = in_own_process(loss, way, size, chunk_size)
                seconds, more = measured["seconds"], max(0.0, measured["mebibytes"] - idle)
                cases.append(
                    {"loss": loss, "way": way, "size": size, "seconds": seconds, "mebibytes": more}
                )
                print(f"{loss:<14}{way:<10}{size:>7}{seconds:>10.2f}{more:>10.0f}", flush=True)
    return cases


def record(
    path: Path, cases: list[dict[str, Any]], chunk_size: int, commit: str, minutes: float
) -> None:
    """Write the cases as evidence records."""
    info = RunInfo(
        dataset="random_features", variant="", head="cosine", seed=0, commit=commit,
        config=config_hash({"dim": DIM, "scale": SCALE, "chunk_size": chunk_size}),
        minutes=minutes,
    )  # fmt: skip
    rows = {"chunked": f", {chunk_size} rows a chunk", "plain": ""}
    records = [
        replace(info, variant=case["loss"]).record(
            "none", metric, f"{case['way']}, batch {case['size']}{rows[case['way']]}", case[key],
            case["size"], unit=unit,
        )
        for case in cases
        for metric, key, unit in (
            ("loss_cpu_time", "seconds", "s"),
            ("loss_peak_memory", "mebibytes", "MiB"),
        )
    ]  # fmt: skip
    write_evidence(path, records)


def main() -> None:
    """Measure, print the table and write the records if a path is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--plain-up-to", type=int, default=8192)
    parser.add_argument("--chunk-size", type=int, default=1024)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(*json.loads(options.case))))
        return
    commit = clean_commit() if options.record else ""
    start = time.monotonic()
    cases = measure_all(options.sizes, options.plain_up_to, options.chunk_size)
    if options.record:
        minutes = (time.monotonic() - start) / 60
        record(options.record, cases, options.chunk_size, commit, minutes)


if __name__ == "__main__":
    main()
