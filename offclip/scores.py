"""The score matrices that heads return and losses take, and the precision of all computing.

Stands between ``models`` and ``losses`` so that neither imports the other.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PairScores:
    """Scores of every image with every text, one matrix for each direction of attention.

    Attributes:
        image_to_text: ``image_to_text[i, t]``; the memory is image ``i``, the query is text ``t``
            (CARZero's "i2t").
        text_to_image: ``text_to_image[t, i]``; the memory is text ``t``, the query is image ``i``
            (CARZero's "t2i"). A cosine head returns the same values in both, transposed.
    """

    image_to_text: Float[Tensor, "image text"]
    text_to_image: Float[Tensor, "text image"]

    @property
    def mean(self) -> Float[Tensor, "image text"]:
        """``(image_to_text + text_to_image.T) / 2``, the mean of the two directions by image."""
        return (self.image_to_text + self.text_to_image.T) / 2


def full_precision(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def no_autocast(like: Tensor) -> AbstractContextManager[Any]:
    """Inside, products on the device of ``like`` keep the dtype of their factors."""
    if not torch.amp.is_autocast_available(like.device.type):  # the device "meta", for one
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)


_TF32: dict[str, Any] = {"matmul": torch.backends.cuda.matmul, "cudnn": torch.backends.cudnn}


def use_exact_float32() -> None:
    """Switch TensorFloat-32 off on GPUs, in matrix products and convolutions alike.

    PyTorch's defaults are off for the first and on for the second, where 10 of the 23 bits of a
    float32 then count.
    """
    for backend in _TF32.values():
        backend.allow_tf32 = False


def tensor_float32() -> dict[str, bool]:
    """Where GPUs may cut float32 to TensorFloat-32."""
    return {name: backend.allow_tf32 for name, backend in _TF32.items()}
