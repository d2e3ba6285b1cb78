"""CARZero as published, and the refined weights of OFF-CLIP: the same architecture."""

from offclip.models.config import PublishedConfig
from offclip.models.published.loading import (
    load_image_tower,
    load_published,
    read_tokenizer,
)
from offclip.models.published.model import PublishedCARZero, PublishedImageTower
from offclip.models.published.preprocess import published_preprocess

__all__ = [
    "PublishedCARZero",
    "PublishedConfig",
    "PublishedImageTower",
    "load_image_tower",
    "load_published",
    "published_preprocess",
    "read_tokenizer",
]
