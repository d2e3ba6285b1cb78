"""Pictures that lie in files, read when their turn comes; none is left out in silence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8

Read: TypeAlias = Callable[[str], np.ndarray]
Square: TypeAlias = Callable[[np.ndarray], np.ndarray]


@dataclass
class FilePictures:
    """As an array of pictures, for :func:`offclip.evaluation.zero_shot.scores_of` and maps.

    A file that cannot be read gives a black picture, and its name and reason in ``refused``: the
    caller drops its row. What was read is not kept.

    Attributes:
        names: of the files.
        read: from a name to a grey picture; raises ValueError or OSError.
        square: from a grey picture to the square one that the model takes.
        spread: shares out the reading.
        sizes: (width, height) of each file read so far.
        refused: reason by name.
    """

    names: Sequence[str]
    read: Read
    square: Square
    spread: Callable[..., Iterable[Any]] = map
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: slice) -> UInt8[np.ndarray, "image side side"]:
        names = self.names[chosen]
        side = self.square(np.zeros((2, 2), np.uint8)).shape[0]
        pictures = np.zeros((len(names), side, side), np.uint8)
        one = partial(_picture, self.read, self.square)
        for name, row, (picture, size, reason) in zip(
            names, pictures, self.spread(one, names), strict=True
        ):
            if picture is None:
                self.refused[name] = reason
            else:
                row[:], self.sizes[name] = picture, size
        return pictures


def _picture(
    read: Read, square: Square, name: str
) -> tuple[np.ndarray | None, tuple[int, int], str]:
    try:
        grey = read(name)
        return square(grey), (grey.shape[1], grey.shape[0]), ""
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        return None, (0, 0), str(error) or type(error).__name__
