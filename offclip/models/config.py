"""The configuration of a small image-text model."""

from dataclasses import dataclass

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
