"""The published architecture: ViT-B/16, BERT-base and four layers of cross-attention."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    BertConfig,
    PreTrainedTokenizerBase,
    ViTConfig,
    ViTModel,
)

from offclip.files import write_json
from offclip.models.config import PublishedConfig
from offclip.models.heads import CrossAttentionHead
from offclip.models.model import PairModel
from offclip.models.published.preprocess import MEAN, STD
from offclip.models.published.text import PublishedTextTower, published_text, published_tokens
from offclip.models.towers import Features

TOKENIZER = "tokenizer"


class PublishedImageTower(nn.Module):
    """A vision transformer: the class token is the pooled vector, the patches the tokens."""

    def __init__(self, config: PublishedConfig):
        super().__init__()
        self.size = config.image_size
        self.model = ViTModel(
            ViTConfig(
                hidden_size=config.dim,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.feedforward,
                image_size=config.image_size,
                patch_size=config.patch_size,
                layer_norm_eps=1e-6,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            ),
            add_pooling_layer=False,
        )

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Features:
        """Encode images as :func:`published_preprocess` gives them."""
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"images: expected {self.size}×{self.size} pixels, got "
                f"{tuple(images.shape[-2:])}; use published_preprocess"
            )
        tokens = self.model(images).last_hidden_state
        return Features(tokens[:, 0], tokens[:, 1:])


class PublishedCARZero(PairModel, PyTorchModelHubMixin, library_name="offclip"):
    """CARZero, and OFF-CLIP, which kept its architecture: the functions of the published code.

    Reproduced: padding slots are averaged into the text vector and attended by the images, word
    pieces are summed into words, the scores have no scale. Left out: parameters that the published
    forward pass never uses (the layers' self-attention and ``norm1``, ``logit_scale``, BERT's
    pooler).

    ``save_pretrained(folder)`` writes ``model.safetensors``, ``config.json`` and ``tokenizer/``;
    ``from_pretrained`` reads such a folder, or one from the Hugging Face hub.

    Args:
        config: sizes.
        tokenizer: of the text side; needed before texts are.
    """

    model_type = "carzero"
    image_tower: PublishedImageTower
    text_tower: PublishedTextTower
    head: CrossAttentionHead

    def __init__(self, config: PublishedConfig, tokenizer: PreTrainedTokenizerBase | None = None):
        super().__init__()
        self.config = config
        self.margin, self.picture_size = config.margin, config.picture_size
        self.image_tower = PublishedImageTower(config)
        bert = BertConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feedforward,
            max_position_embeddings=config.positions,
        )
        self.text_tower = PublishedTextTower(bert, config.text_length)
        if tokenizer is not None:
            self.use_tokenizer(tokenizer)
        self.head = CrossAttentionHead(
            config.dim,
            heads=config.fusion_heads,
            layers=config.fusion_layers,
            feedforward=config.fusion_feedforward,
            hidden=config.hidden,
        )

    def use_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read texts with this tokenizer from now on.

        Raises:
            ValueError: it does not fit the weights.
        """
        self.text_tower.use_vocabulary(tokenizer)
        super().use_tokenizer(tokenizer)

    def prepare(
        self, pictures: UInt8[Tensor, "image side side"]
    ) -> Float[Tensor, "image 3 height width"]:
        """The middle of :func:`offclip.imaging.resize.published_square` pictures, scaled alike.

        Raises:
            ValueError: they are smaller than ``picture_size``.
        """
        middle = slice(self.margin, self.picture_size - self.margin)
        grey = self._grey(pictures)[:, :, middle, middle]
        return grey.div(255).sub(MEAN).div(STD).expand(-1, 3, -1, -1)

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        sizes = {"model_type": self.model_type, **asdict(self.config)}
        write_json(save_directory / "config.json", sizes)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory / TOKENIZER)

    @classmethod
    def _from_pretrained(cls, **settings: Any) -> "PublishedCARZero":
        model: PublishedCARZero = super()._from_pretrained(**settings)
        source = settings["model_id"]
        where = {"subfolder": TOKENIZER} | {
            name: settings[name]
            for name in ("revision", "cache_dir", "force_download", "local_files_only", "token")
        }
        if not Path(source).is_dir() or (Path(source) / TOKENIZER).is_dir():
            model.use_tokenizer(AutoTokenizer.from_pretrained(source, **where))
        return model

    @property
    def text_length(self) -> int:
        return self.config.text_length

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask`` of texts, cleaned and cut as published.

        Raises:
            ValueError: there is no tokenizer, or nothing is left of a text.
        """
        return published_tokens(self._tokenizer(), texts, self.text_length)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each cleaned text before any is cut."""
        return super().token_counts([published_text(text) for text in texts])

    def unknown_words(self, text: str) -> list[str]:
        """Words of a text, as the published code cleans it, that the tokenizer does not know."""
        return super().unknown_words(published_text(text))
