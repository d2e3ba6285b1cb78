"""What stops a run: errors that name the cause and the setting to change."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from offclip.files import write_json
from offclip.models.heads import CrossAttentionHead
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
def memory_advice(config: TrainConfig, head: nn.Module) -> Iterator[None]:
    """Where memory ends, say what to lower, and to which value.

    Args:
        config: of the run.
        head: of the model; the chunks of a cross-attention head are the first thing to lower.

    Raises:
        MemoryError: in place of PyTorch's errors, of the GPU or of the processor.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        hint = "try precision bfloat16, then a smaller batch_size"
        if isinstance(head, CrossAttentionHead):
            every = config.batch_size**2
            pairs = min(head.pairs_at_once or every, every)
            hint = (
                f"try pairs_at_once {max(1, pairs // 4)} (now {pairs}), then precision bfloat16, "
                "then a smaller batch_size"
            )
        raise MemoryError(
            f"memory: not enough for batch_size {config.batch_size}; {hint} ({error})"
        ) from error
