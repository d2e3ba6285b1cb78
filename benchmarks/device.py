"""What a device can do: versions, precision flags, copy rate, matrix products.

    python -m benchmarks.device --device cuda --record book/results/gpu_device.csv

The rates are the ceilings that the other benchmarks are held against.
"""

import platform
import statistics

import torch

from benchmarks._notes import ROUNDS, Notes, seconds, speed_parser
from offclip.scores import use_exact_float32

SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices
COPIED = {"cpu": 2**26, "cuda": 2**32}  # bytes of a copy, several times the cache
PRECISIONS = {"cpu": ("float32",), "cuda": ("float32", "TensorFloat-32", "bfloat16")}
ROUNDS_OF = {"cpu": 3, "cuda": 10}


def versions(device: str) -> str:
    """Versions, flags and the card, a line each."""
    import transformers

    lines = [
        f"python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, {torch.get_num_threads()} threads",
    ]
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        lines.append(
            f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, "
            f"cuDNN {torch.backends.cudnn.version()}, capability {card.major}.{card.minor}"
        )
    return "\n".join(lines)


def product_rates(device: str, precision: str) -> list[float]:
    """TFLOP/s of one large square matrix product, a number for each round."""
    side = SIDE[device]
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    torch.backends.cuda.matmul.allow_tf32 = precision == "TensorFloat-32"
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    taken = [seconds(device, lambda: a @ b) for _ in range(3 + ROUNDS_OF[device])][3:]
    use_exact_float32()
    return [2 * side**3 / each / 1e12 for each in taken]


def copy_rates(device: str) -> list[float]:
    """TB/s of a copy within the device's memory, read and written bytes together."""
    source = torch.empty(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = [seconds(device, lambda: target.copy_(source)) for _ in range(2 + ROUNDS_OF[device])]
    return [2 * COPIED[device] / each / 1e12 for each in taken[2:]]


def main() -> None:
    """Measure and print; with ``--record`` write evidence."""
    options = speed_parser(__doc__).parse_args()
    use_exact_float32()
    print(versions(options.device), flush=True)
    notes = Notes(options, {"side": SIDE[options.device]})

    def note(metric: str, rates: list[float], unit: str, detail: str, n: int) -> None:
        bounds = {"interval": (min(rates), max(rates)), "method": ROUNDS}
        notes.add(metric, statistics.median(rates), unit, detail=detail, n=n, **bounds)

    note("copy_rate", copy_rates(options.device), "TB/s", "within the device",
         COPIED[options.device])  # fmt: skip
    for precision in PRECISIONS[options.device]:
        side = SIDE[options.device]
        rates = product_rates(options.device, precision)
        note("multiplication_rate", rates, "TFLOP/s", f"{side}, {precision}", side)


if __name__ == "__main__":
    main()
