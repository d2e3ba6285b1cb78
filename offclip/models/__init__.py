"""Towers, heads and their tokenizer."""

from offclip.models.backbones import BackboneModel, TextBackbone, VisionBackbone
from offclip.models.config import ModelConfig, PublishedConfig
from offclip.models.model import ImageTextModel, PairModel
from offclip.models.published import (
    PublishedCARZero,
    PublishedImageTower,
    load_image_tower,
    load_published,
    published_preprocess,
    read_tokenizer,
)
from offclip.models.saved import (
    load,
    load_tokenizer,
    load_weights,
    save_model,
    save_tokenizer,
    save_weights,
)
from offclip.models.tokenizer import tokenize, train_tokenizer
from offclip.models.towers import Features

__all__ = [
    "BackboneModel",
    "Features",
    "ImageTextModel",
    "ModelConfig",
    "PairModel",
    "PublishedCARZero",
    "PublishedConfig",
    "PublishedImageTower",
    "TextBackbone",
    "VisionBackbone",
    "load",
    "load_image_tower",
    "load_published",
    "load_tokenizer",
    "load_weights",
    "published_preprocess",
    "read_tokenizer",
    "save_model",
    "save_tokenizer",
    "save_weights",
    "tokenize",
    "train_tokenizer",
]
