"""Images that lie in files, read when their turn comes; none is left out in silence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8

Read: TypeAlias = Callable[[str], np.ndarray]
Resize: TypeAlias = Callable[[np.ndarray], np.ndarray]


@dataclass
class ImageFiles:
    """Image files as an array of images, for scores and maps.

    A file that cannot be read gives a black image, and its name and reason in ``refused``: a score
    table has no row for it. What was read is not kept.

    Attributes:
        names: of the files.
        read: from a name to a grey image (height, width) of uint8; raises ValueError or OSError.
        resize: from a grey image to the padded and resized one that the model takes.
        spread: a ``map`` that shares out the reading.
        sizes: (width, height) of each file read so far.
        refused: reason by name.
    """

    names: Sequence[str]
    read: Read
    resize: Resize
    spread: Callable[..., Iterable[Any]] = map
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: slice) -> UInt8[np.ndarray, "image side side"]:
        names = self.names[chosen]
        images = np.zeros((len(names), *self.resize(np.zeros((2, 2), np.uint8)).shape), np.uint8)
        results = self.spread(partial(_read_one, self.read, self.resize), names)
        for row, name, result in zip(images, names, results, strict=True):
            if isinstance(result, str):
                self.refused[name] = result
            else:
                row[:], self.sizes[name] = result
        return images


def _read_one(read: Read, resize: Resize, name: str) -> tuple[np.ndarray, tuple[int, int]] | str:
    """The resized image and its file's (width, height), or why there is none."""
    try:
        grey = read(name)
        return resize(grey), (grey.shape[1], grey.shape[0])
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        return str(error) or type(error).__name__
