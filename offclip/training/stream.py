"""Batches on their way to the device: this process's part, fetched one batch ahead."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import Any, Protocol, runtime_checkable

from accelerate import Accelerator
from torch import Tensor

Batch = Mapping[str, Any]
Prepare = Callable[[Tensor], Tensor]


@runtime_checkable
class Batches(Protocol):
    """Batches of every epoch, each a function of the epoch and its place in it."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from number ``start`` on.

        Mappings with ``images``, ``input_ids``, ``attention_mask``, ``is_normal`` and ``ids``
        (named in errors). Iterated in a thread, one batch ahead: no global random numbers.
        """
        ...


def stream(
    batches: Batches, start: int, stop: int, accelerator: Accelerator, prepare: Prepare | None
) -> Iterator[Batch]:
    """This process's part of batches ``start`` to ``stop``, on its device, prepared.

    ``prepare`` runs in the step, with its random numbers; the batch is fetched during the step
    before.
    """
    if len(batches) == 0:
        raise ValueError("batches: an epoch gave no batch; there are fewer studies than batch_size")
    device, pinned = accelerator.device, accelerator.device.type == "cuda"
    for batch in _ahead(islice(_parts(batches, start, accelerator, pinned), stop - start)):
        part = {
            name: v.to(device, non_blocking=pinned) if isinstance(v, Tensor) else v
            for name, v in batch.items()
        }
        yield {**part, "images": prepare(part["images"])} if prepare else part


def _parts(batches: Batches, start: int, accelerator: Accelerator, pinned: bool) -> Iterator[Batch]:
    """This process's part of batch ``start`` and all later ones, in memory of the CPU."""
    rank, of = accelerator.process_index, accelerator.num_processes
    for epoch in count(start // len(batches)):
        first = start % len(batches) if epoch == start // len(batches) else 0
        for batch in batches(epoch, first):
            size = len(batch["ids"]) // of
            own = slice(rank * size, (rank + 1) * size)
            yield {
                name: v[own].pin_memory() if pinned and isinstance(v, Tensor) else v[own]
                for name, v in batch.items()
            }


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each fetched by a thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        fetched = thread.submit(next, batches, None)
        while (batch := fetched.result()) is not None:
            fetched = thread.submit(next, batches, None)
            yield batch
