"""The image-text model: two towers and a head."""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from offclip.models.config import ModelConfig
from offclip.models.heads import AttentionMaps, CosineHead, CrossAttentionHead
from offclip.models.towers import Features, ImageTower, TextTower
from offclip.scores import PairScores


class ImageTextModel(nn.Module):
    """Scores every image of a batch with every text of a batch."""

    def __init__(self, config: ModelConfig, vocabulary: int):
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config)
        self.text_tower = TextTower(config, vocabulary)
        self.head: CosineHead | CrossAttentionHead = (
            CosineHead(config) if config.head == "cosine" else CrossAttentionHead(config)
        )

    def encode_images(self, images: Float[Tensor, "image 1 height width"]) -> Features:
        """Pooled vector and patch tokens of each image."""
        return self.image_tower(images)

    def encode_texts(
        self, input_ids: Int[Tensor, "text token"], attention_mask: Int[Tensor, "text token"]
    ) -> Features:
        """Pooled vector and word tokens of each text."""
        return self.text_tower(input_ids, attention_mask)

    def forward(
        self,
        images: Float[Tensor, "image 1 height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> PairScores:
        """Both score matrices; the same as :meth:`scores`."""
        return self.head(self.encode_images(images), self.encode_texts(input_ids, attention_mask))

    def with_tokens(
        self,
        images: Float[Tensor, "pair 1 height width"],
        input_ids: Int[Tensor, "pair token"],
        attention_mask: Int[Tensor, "pair token"],
    ) -> tuple[PairScores, Float[Tensor, "pair token patch"]]:
        """Both score matrices of N pairs, and the cosines of each pair's words and patches.

        TIER regularises these cosines. It knows one head, ours has two: tokens are compared where
        the head takes them up, after the shared LayerNorm of ``cross_attention``, and straight from
        the towers for ``cosine``, whose score sees no token but through the pooled vector.
        """
        seen, read = self.encode_images(images), self.encode_texts(input_ids, attention_mask)
        patches, words = (normalize(self.head.local(side.tokens), dim=2) for side in (seen, read))
        return self.head(seen, read), words @ patches.transpose(1, 2)

    def scores(
        self,
        images: Float[Tensor, "image 1 height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> PairScores:
        """Both score matrices of N images and T texts."""
        return self(images, input_ids, attention_mask)

    def attention(
        self,
        images: Float[Tensor, "image 1 height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> AttentionMaps:
        """Where each text looks in each image, and each image in each text, layer by layer."""
        texts = self.encode_texts(input_ids, attention_mask)
        return self.head.attention(self.encode_images(images), texts)
