"""Which runs may be taken for seeds of one variant."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

from offclip.study.variants import RunConfig

T = TypeVar("T")


def check_once(name: str, values: Sequence[T], spelled: Callable[[T], object] = str) -> None:
    """Refuse a value that is there twice: it would count twice in a mean over the values.

    Args:
        name: of the values in the message.
        values: compared by equality.
        spelled: a value as the message names it.

    Raises:
        ValueError: names the first value that is there twice.
    """
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{name}: expected each once, got {spelled(value)} twice")


def check_seeds(configs: Sequence[RunConfig]) -> None:
    """Refuse to pool runs that differ in more than their seeds.

    Raises:
        ValueError: two runs have the same seed or other settings; names them.
    """
    check_once("seeds", [config.train.seed for config in configs])
    first = _settings(configs[0])
    for config in configs[1:]:
        other = _settings(config)
        for name in first | other:
            if first.get(name) != other.get(name):
                raise ValueError(
                    "runs: expected runs that differ in their seeds alone, but "
                    f"{name} is {first.get(name)!r} and {other.get(name)!r}; pool them apart"
                )


def _settings(config: RunConfig) -> dict[str, object]:
    """Every setting of a run but its seed, by name."""
    own = asdict(config)
    parts = {part: own.pop(part) for part in ("model", "train")}
    nested = {f"{part}.{name}": v for part, each in parts.items() for name, v in each.items()}
    del nested["train.seed"]
    return own | nested
