"""The score matrices that heads return and losses take, and the precision of both.

Stands between ``models`` and ``losses`` so that neither imports the other.
"""

from dataclasses import dataclass

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


def no_autocast(like: Tensor) -> torch.autocast:
    """Inside, products on the device of ``like`` keep the dtype of their factors."""
    return torch.autocast(like.device.type, enabled=False)
