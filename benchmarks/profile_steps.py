"""Where the time of a full training step goes: PyTorch's profile of three steps.

    python -m benchmarks.profile_steps --device cuda --precision bfloat16 --size 256

Prints the operations that take longest on the device, and writes no record: names and times of
kernels belong to one version of PyTorch.
"""

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks._notes import speed_parser
from benchmarks.full_step import new_batch, new_objective, step_seconds
from offclip.scores import use_exact_float32


def main() -> None:
    """Profile and print."""
    parser = speed_parser(__doc__)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--layers", type=int, default=12, help="of both towers")
    options = parser.parse_args()
    use_exact_float32()
    objective = new_objective(options.device, options.precision, layers=options.layers)
    batch = new_batch(options.size, options.device)
    step_seconds(objective, batch, options.device, rounds=0)
    activities = [ProfilerActivity.CPU]
    if options.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        step_seconds(objective, batch, options.device, rounds=2)
    key = f"self_{options.device}_time_total"
    print(found.key_averages().table(sort_by=key, row_limit=25, max_name_column_width=60))
    print(f"torch {torch.__version__}, N = {options.size}, {options.precision}, three steps")


if __name__ == "__main__":
    main()
