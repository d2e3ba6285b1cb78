"""The sizes of the models: the small one that the book trains, and the published one."""

from collections.abc import Sequence
from dataclasses import dataclass

from offclip.imaging.resize import CROP, LONGER_SIDE

HEADS = ("cosine", "cross_attention")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the towers and the head.

    Attributes:
        image_size: side of the square input in pixels; a multiple of ``patch_size``.
        image_widths: channels of the residual stages; the first works at a quarter of the image's
            side, each further one halves it.
        dim: width of tokens in both towers and in the head.
        text_layers: transformer layers of the text tower.
        text_length: longest text in tokens, [CLS] and [SEP] included.
        heads: attention heads of text tower and fusion; divides ``dim``.
        head: how scores are made: ``cosine`` (CLIP) or ``cross_attention`` (CARZero).
        fusion_layers: cross-attention layers of the ``cross_attention`` head.
        score_scale: first value of the learned factor on the ``cross_attention`` scores. CARZero
            has such a parameter but never uses it; without it, training from scratch starts slowly.
        score_bias: first value of the learned bias on the scores. Default: 0 for ``cosine``, what
            the last layer draws at random for ``cross_attention``. A softmax does not see it; a
            sigmoid over N x N cells starts calm with about -log N (SigLIP: -10).
        dropout: of the text tower, in [0, 1).
    """

    image_size: int = 64
    image_widths: tuple[int, ...] = (48, 96)
    dim: int = 96
    text_layers: int = 2
    text_length: int = 32
    heads: int = 4
    head: str = "cross_attention"
    fusion_layers: int = 1
    score_scale: float = 5.0
    score_bias: float | None = None
    dropout: float = 0.0

    @property
    def picture_size(self) -> int:
        """Side of the pictures that the model takes."""
        return self.image_size

    @property
    def patch_size(self) -> int:
        """Pixels of the image's side that one image token stands for."""
        return int(4 * 2 ** (len(self.image_widths) - 1))

    @property
    def grid(self) -> int:
        """Image tokens along one side."""
        return self.image_size // self.patch_size

    def __post_init__(self) -> None:
        if self.image_size <= 0 or self.image_size % self.patch_size:
            raise ValueError(
                f"image_size: expected a positive multiple of the patch ({self.patch_size} px), "
                f"got {self.image_size}; nearest is "
                f"{max(1, round(self.image_size / self.patch_size)) * self.patch_size}"
            )
        if self.dim % self.heads:
            raise ValueError(f"heads: expected a divisor of dim={self.dim}, got {self.heads}")
        if self.head not in HEADS:
            raise ValueError(f"head: expected one of {', '.join(HEADS)}; got {self.head!r}")


@dataclass(frozen=True)
class PublishedConfig:
    """Sizes; the defaults are the published ones, where only the vocabulary varies.

    Attributes:
        vocabulary: tokens of the text side.
        dim: of all tokens.
        layers: of each tower.
        heads: of each tower; divides ``dim``.
        feedforward: width inside a tower's layer.
        image_size: side of the input in pixels.
        patch_size: side of a patch in pixels.
        positions: of BERT, at least ``text_length``.
        text_length: slots of a text.
        fusion_layers: of the head.
        fusion_heads: of the head; divides ``dim``.
        fusion_feedforward: width inside the head's layers.
        hidden: widths of the score network.
    """

    vocabulary: int
    dim: int = 768
    layers: int = 12
    heads: int = 12
    feedforward: int = 3072
    image_size: int = 224
    patch_size: int = 16
    positions: int = 512
    text_length: int = 97
    fusion_layers: int = 4
    fusion_heads: int = 4
    fusion_feedforward: int = 1024
    hidden: Sequence[int] = (1024, 512, 256)

    @property
    def head(self) -> str:
        """The published model has no other head."""
        return "cross_attention"

    @property
    def margin(self) -> int:
        """How many pixels are cut off at each side of a picture, 16 of 256 or as large a part."""
        return (LONGER_SIDE - CROP) // 2 * self.image_size // CROP

    @property
    def picture_size(self) -> int:
        """Side of the pictures that the model takes."""
        return self.image_size + 2 * self.margin

    @property
    def grid(self) -> int:
        """Image tokens along one side."""
        return self.image_size // self.patch_size

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))  # JSON knows lists only
