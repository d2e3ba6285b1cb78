"""The score matrices that heads return and losses take.

Stands between ``models`` and ``losses`` so that neither imports the other.
"""

from dataclasses import dataclass

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
