"""What stops a run, said so that it can be mended."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from offclip.files import write_json
from offclip.training.config import TrainConfig


def stop_not_finite(
    name: str,
    value: float,
    terms: Mapping[str, float],
    ids: Sequence[object],
    step: int,
    config: TrainConfig,
    path: Path,
) -> None:
    """Write the studies of a step whose loss or gradient is not finite to ``path``, and raise.

    Raises:
        FloatingPointError: always; the message names step, some studies and the file.
    """
    names = [str(each) for each in ids]
    values = {term: repr(number) for term, number in terms.items()}
    write_json(path, {"step": step, "terms": values, "ids": names})
    raise FloatingPointError(
        f"{name}: {value} at step {step} with studies {', '.join(names[:5])}, … (all "
        f"{len(names)} in {path}); lower learning_rate (now {config.learning_rate}) or look for "
        "non-finite pixels in these studies"
    )


@contextmanager
def memory_advice(config: TrainConfig) -> Iterator[None]:
    """Where memory ends, say what to lower, and to which value.

    Raises:
        MemoryError: in place of PyTorch's errors, of the GPU or of the processor.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        pairs = min(config.pairs_at_once, config.batch_size**2)
        raise MemoryError(
            f"memory: not enough for batch_size {config.batch_size}; try pairs_at_once "
            f"{max(1, pairs // 4)} (now {pairs}), then precision bfloat16, then a smaller "
            f"batch_size ({error})"
        ) from error
