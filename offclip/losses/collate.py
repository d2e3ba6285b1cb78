"""A collate function that carries the normal flag of each example into the batch."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import torch


class NormalFlagCollator:
    """A collate function that also stacks the flag ``is_normal`` of each example.

    The flag is taken out of the examples before the wrapped function sees them, and put into the
    batch that it returns. Two kinds of examples are known: mappings, with the flag under ``key``;
    and tuples, with the flag in the last place (the batch then ends with the flags too).

    Args:
        collate: any collate function, such as ``torch.utils.data.default_collate`` or a collator
            of transformers.
        key: name of the flag in examples and batch.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], key: str = "is_normal"):
        self.collate, self.key = collate, key

    def __call__(self, examples: Sequence[Any]) -> Any:
        """The batch of the wrapped function with a boolean tensor of flags.

        Raises:
            ValueError: a flag is missing or not boolean, or the batch cannot take it.
        """
        if all(isinstance(example, Mapping) for example in examples):
            return self._collate_mappings(examples)
        if all(isinstance(example, tuple) for example in examples):
            flags = [_flag(example[-1], i) for i, example in enumerate(examples)]
            batch = self.collate([example[:-1] for example in examples])
            return *batch, torch.tensor(flags)
        kinds = sorted({type(example).__name__ for example in examples})
        raise ValueError(f"examples: expected all mappings or all tuples, got {', '.join(kinds)}")

    def _collate_mappings(self, examples: Sequence[Mapping[str, Any]]) -> Any:
        flags = [_flag(example.get(self.key), i) for i, example in enumerate(examples)]
        rest = [{k: v for k, v in example.items() if k != self.key} for example in examples]
        batch = self.collate(rest)
        if not isinstance(batch, MutableMapping):
            raise ValueError(
                f"collate: expected a function that returns a mapping for examples that are "
                f"mappings, got {type(batch).__name__}; give examples as tuples instead"
            )
        batch[self.key] = torch.tensor(flags)
        return batch


def _flag(value: Any, position: int) -> bool:
    """A Python, NumPy or torch boolean as a Python one."""
    dtype = str(getattr(value, "dtype", None)).removeprefix("torch.")
    if not isinstance(value, bool) and (dtype != "bool" or tuple(value.shape) not in ((), (1,))):
        raise ValueError(
            f"is_normal: expected a boolean in every example, got {value!r} in example {position}; "
            f"an unknown flag is not a False, so decide before collating"
        )
    return bool(value)
