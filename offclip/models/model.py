"""The image-text model: two towers and a head."""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize
from transformers import PreTrainedTokenizerBase

from offclip.models.config import ModelConfig, PublishedConfig
from offclip.models.heads import AttentionMaps, CosineHead, CrossAttentionHead
from offclip.models.tokenizer import token_counts, tokenize, unknown_words
from offclip.models.towers import Features, ImageTower, TextTower
from offclip.scores import PairScores, full_precision, no_autocast


class PairModel(nn.Module):
    """Scores every image of a batch with every text of a batch: two towers and a head.

    Attributes:
        model_type: names the architecture in ``config.json``, see :func:`offclip.models.load`.
        config: its sizes, if they are settings of a study.
        picture_size: side in pixels of the square grey pictures that :meth:`prepare` takes.
        margin: pixels that it cuts off at each side.
        tokenizer: see :meth:`use_tokenizer`.
    """

    model_type: ClassVar[str]
    image_tower: nn.Module
    text_tower: nn.Module
    head: CosineHead | CrossAttentionHead
    config: ModelConfig | PublishedConfig
    picture_size: int
    margin: int = 0
    tokenizer: PreTrainedTokenizerBase | None = None

    def use_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read texts with this tokenizer from now on."""
        self.tokenizer = tokenizer

    @property
    def text_length(self) -> int:
        """Longest text in tokens, special ones included.

        Raises:
            ValueError: there is no tokenizer.
        """
        return int(self._tokenizer().model_max_length)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask`` of texts, cut after ``text_length`` tokens.

        Raises:
            ValueError: there is no tokenizer.
        """
        return tokenize(self._tokenizer(), texts, self.text_length)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any is cut, special ones included.

        Raises:
            ValueError: there is no tokenizer.
        """
        return token_counts(self._tokenizer(), texts)

    def unknown_words(self, text: str) -> list[str]:
        """Words of a text that the tokenizer does not know: the model takes all of them for one.

        Raises:
            ValueError: there is no tokenizer.
        """
        return unknown_words(self._tokenizer(), text)

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        if self.tokenizer is None:
            raise ValueError(
                "tokenizer: needed to read texts; give it to load_published or use_tokenizer"
            )
        return self.tokenizer

    def prepare(
        self, pictures: UInt8[Tensor, "image side side"]
    ) -> Float[Tensor, "image channel height width"]:
        """The input of the image tower, on the pictures' device, in the precision of the weights.

        Larger pictures are averaged down; grey values are scaled to [-2, 2]:
        ``(grey / 255 - 0.5) / 0.25``.

        Raises:
            ValueError: they are smaller than ``picture_size``.
        """
        return self._grey(pictures).div(255).sub(0.5).div(0.25)

    def _grey(
        self, pictures: UInt8[Tensor, "image side side"]
    ) -> Float[Tensor, "image 1 size size"]:
        """Grey values from 0 to 255 at ``picture_size``."""
        side = pictures.shape[1]
        if side < self.picture_size:
            raise ValueError(
                f"pictures: expected a side of at least {self.picture_size} pixels, got {side}"
            )
        grey = pictures[:, None].to(next(self.parameters()).dtype)
        if side > self.picture_size:
            grey = interpolate(grey, size=(self.picture_size, self.picture_size), mode="area")
        return grey

    def encode_images(self, images: Float[Tensor, "image channel height width"]) -> Features:
        """Pooled vector and patch tokens of each image."""
        features: Features = self.image_tower(images)
        return features

    def encode_texts(
        self, input_ids: Int[Tensor, "text token"], attention_mask: Int[Tensor, "text token"]
    ) -> Features:
        """Pooled vector and word tokens of each text."""
        features: Features = self.text_tower(input_ids, attention_mask)
        return features

    def forward(
        self,
        images: Float[Tensor, "image channel height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> PairScores:
        """Both score matrices; the same as :meth:`scores`."""
        return self.head(self.encode_images(images), self.encode_texts(input_ids, attention_mask))

    def token_cosines(self, images: Features, texts: Features) -> Float[Tensor, "pair token patch"]:
        """Cosines of each pair's words and patches, for N images and their N texts.

        TIER regularises these cosines. It knows one head, ours has two: tokens are compared where
        the head takes them up, after the shared LayerNorm of ``cross_attention``, and straight from
        the towers for ``cosine``, whose score sees no token but through the pooled vector.
        """
        local = (full_precision(self.head.local(side.tokens)) for side in (images, texts))
        patches, words = (normalize(tokens, dim=2) for tokens in local)
        with no_autocast(words):
            return words @ patches.transpose(1, 2)

    def scores(
        self,
        images: Float[Tensor, "image channel height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> PairScores:
        """Both score matrices of N images and T texts."""
        return self(images, input_ids, attention_mask)

    def attention(
        self,
        images: Float[Tensor, "image channel height width"],
        input_ids: Int[Tensor, "text token"],
        attention_mask: Int[Tensor, "text token"],
    ) -> AttentionMaps:
        """Where each text looks in each image, and each image in each text, layer by layer."""
        texts = self.encode_texts(input_ids, attention_mask)
        return self.head.attention(self.encode_images(images), texts)


class ImageTextModel(PairModel):
    """The small model that the book trains."""

    model_type = "offclip"
    image_tower: ImageTower

    def __init__(self, config: ModelConfig, vocabulary: int):
        super().__init__()
        self.config, self.picture_size = config, config.image_size
        self.image_tower = ImageTower(config)
        self.text_tower = TextTower(config, vocabulary)
        self.head = CosineHead(config) if config.head == "cosine" else _cross_attention(config)

    @property
    def text_length(self) -> int:
        return min(self.config.text_length, super().text_length)

    @classmethod
    def with_tokenizer(
        cls, config: ModelConfig, tokenizer: PreTrainedTokenizerBase
    ) -> "ImageTextModel":
        """A model with new weights that reads texts with this tokenizer."""
        model = cls(config, len(tokenizer))
        model.use_tokenizer(tokenizer)
        return model


def _cross_attention(config: ModelConfig) -> CrossAttentionHead:
    return CrossAttentionHead(
        config.dim,
        heads=config.heads,
        layers=config.fusion_layers,
        feedforward=2 * config.dim,
        hidden=(config.dim,),
        score_scale=config.score_scale,
        score_bias=config.score_bias,
    )
