"""Batches of rendered images and drawn sentences."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from offclip.files import atomic_path
from offclip.folders import Mark, claim
from offclip.imaging.resize import ImageRows
from offclip.keys import code_version
from offclip.phantom import Finding, render_many


class PhantomImages:
    """Rendered radiographs of a list of studies, several draws of each.

    Draw 0 is *the* image of the study: validation and test use no other. Training takes another
    draw in each epoch: new anatomy, new noise, the same findings. A draw depends on the study's id
    and the draw's number alone. With a ``folder``, a draw is rendered once and kept.
    """

    def __init__(
        self,
        ids: Sequence[str],
        findings: Sequence[Sequence[Finding]],
        *,
        size: int,
        folder: str | Path | None = None,
    ):
        if len(ids) != len(findings):
            raise ValueError(f"findings: expected {len(ids)}, one list an id, got {len(findings)}")
        self.ids, self.findings, self.size = list(ids), [tuple(f) for f in findings], size
        self.folder = None if folder is None else Path(folder)

    @staticmethod
    def seed(study: str, number: int) -> tuple[int, int]:
        """Seed of a draw."""
        return zlib.crc32(study.encode()), number

    def draw(self, number: int) -> UInt8[np.ndarray, "study height width"]:
        """Draw ``number`` of every study."""
        if self.folder is None:
            return self._render(number)
        cases = zlib.crc32(repr((self.ids, self.findings)).encode())
        key = f"{cases:08x}_{code_version('offclip.phantom.render')}"
        path = self.folder / f"draws_{self.size}_{key}_{number}.npy"
        if not path.exists():
            claim(self.folder, Mark("rendered images", contents=("draws_*.npy", ".draws_*.part")))
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, self._render(number))
        return np.load(path, mmap_mode="r")

    def _render(self, number: int) -> np.ndarray:
        seeds = [self.seed(study, number) for study in self.ids]
        return np.stack(
            [phantom.image for phantom in render_many(self.findings, seeds, size=self.size)]
        )


class CachedImages:
    """Pictures that lie on disk; every draw of them is the same, and their views are made later."""

    def __init__(self, ids: Sequence[str], rows: ImageRows):
        if len(ids) != len(rows):
            raise ValueError(f"rows: expected {len(ids)}, one an id, got {len(rows)}")
        self.ids, self.rows = list(ids), rows

    def draw(self, number: int) -> ImageRows:
        """The pictures, read when they are asked for."""
        return self.rows


class AugmentedImages:
    """Grey images of a list of studies; draw 0 as they are, others shifted and re-exposed.

    The counterpart of :class:`PhantomImages` for images from files: a draw is a function of the
    study and its number alone.
    """

    def __init__(self, ids: Sequence[str], images: UInt8[np.ndarray, "study size size"]):
        if len(ids) != len(images):
            raise ValueError(f"images: expected {len(ids)}, one per id, got {len(images)}")
        self.ids, self.images = list(ids), images

    def draw(self, number: int) -> UInt8[np.ndarray, "study size size"]:
        """Draw ``number`` of every study: shifted by up to 1/16, contrast and level up to 10 %."""
        if number == 0:
            return self.images
        reach = self.images.shape[1] // 16
        augmented = np.empty_like(self.images)
        for row, (study, image) in enumerate(zip(self.ids, self.images, strict=True)):
            generator = np.random.default_rng((zlib.crc32(study.encode()), number))
            down, right = generator.integers(-reach, reach + 1, size=2)
            padded = np.pad(image, reach, mode="edge")
            size = len(image)
            shifted = padded[reach + down :, reach + right :][:size, :size].astype(np.float32)
            contrast, level = generator.uniform(0.9, 1.1), generator.uniform(-25, 25)
            augmented[row] = np.clip((shifted - 128) * contrast + 128 + level, 0, 255)
        return augmented


@runtime_checkable
class Drawn(Protocol):
    """Images of a list of studies, several draws of each."""

    ids: list[str]

    def draw(self, number: int) -> UInt8[np.ndarray, "study height width"] | ImageRows:
        """Draw ``number`` of every study."""
        ...


class StudyBatches:
    """Batches for training: every study at most once an epoch, one of its texts drawn each time.

    ``images`` are grey pictures of 8 bits, which the model prepares on its own device.

    Studies without a text are never drawn (the caller counts them). ``batches(epoch)`` is a pure
    function of the seed and the epoch, and ``len(batches)`` their number. The last, smaller batch
    is left out, so that every step has the same number of negatives.
    """

    def __init__(
        self,
        images: Drawn,
        texts: Sequence[Sequence[str]],
        is_normal: Sequence[bool] | np.ndarray,
        tokenize: Callable[[Sequence[str]], dict[str, Tensor]],
        *,
        batch_size: int,
        seed: int,
        draws: int = 3,
    ):
        if not len(images.ids) == len(texts) == len(is_normal):
            raise ValueError(
                f"texts, is_normal: expected {len(images.ids)} of each, one for each study, "
                f"got {len(texts)} and {len(is_normal)}"
            )
        self.rows = np.flatnonzero([bool(each) for each in texts])
        if batch_size > len(self.rows):
            raise ValueError(
                f"batch_size: expected at most {len(self.rows)}, the studies with text, "
                f"got {batch_size}"
            )
        self.images, self.texts, self.tokenize = images, texts, tokenize
        self.is_normal = torch.tensor(np.asarray(is_normal, dtype=bool))
        self.batch_size, self.seed, self.draws = batch_size, seed, draws

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __call__(self, epoch: int, start: int = 0) -> Iterator[dict[str, object]]:
        """Batches of an epoch from number ``start`` on."""
        generator = np.random.default_rng((self.seed, epoch))
        pixels = self.images.draw(1 + epoch % self.draws)
        order = generator.permutation(self.rows)
        for number in range(len(self)):
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            texts = [str(generator.choice(np.asarray(self.texts[i], dtype=object))) for i in chosen]
            if number < start:  # drawn, so that later texts are the same
                continue
            yield {
                "images": torch.from_numpy(pixels[chosen]),
                **self.tokenize(texts),
                "is_normal": self.is_normal[chosen],
                "ids": [self.images.ids[i] for i in chosen],
            }
