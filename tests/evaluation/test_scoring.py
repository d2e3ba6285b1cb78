"""Prompts are scored as they are written, or not at all."""

import numpy as np
import pytest
import torch
from PIL import Image

from offclip.evaluation import attention_maps, score_table
from offclip.imaging.resize import published_square
from offclip.models import ImageTextModel, ModelConfig, train_tokenizer
from offclip.study.benchmark.scores import Scorer, score_images
from offclip.study.predict import predict

FINDINGS = [f"finding {number}" for number in range(6)]
LONG = f"there is {' and '.join(FINDINGS)} but cardiomegaly"
LONGER = f"there is {' and '.join(FINDINGS)} but no cardiomegaly"
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 256, 256), dtype=np.uint8)


def model_for(tokens):
    torch.manual_seed(0)
    config = ModelConfig(
        image_size=32, image_widths=(8, 16), dim=16, heads=2, text_layers=1, text_length=tokens
    )
    tokenizer = train_tokenizer([LONG, LONGER] * 2, length=tokens)
    return ImageTextModel.with_tokenizer(config, tokenizer).eval()


@pytest.fixture
def root(tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    return tmp_path


SCORED = {
    "table": lambda model, root, prompts: score_table(model, PICTURES, list("abc"), prompts),
    "maps": lambda model, root, prompts: attention_maps(model, PICTURES, prompts),
    "files": lambda model, root, prompts: (
        predict(model, published_square, prompts, [root / "a.png"]).table
    ),
    "set": lambda model, root, prompts: (
        score_images(
            Scorer(model, published_square), prompts, root, ["a.png"], root / str(model.text_length)
        ).table
    ),
}


@pytest.mark.parametrize("way", SCORED)
def test_a_prompt_that_would_be_cut_is_refused(way, root):
    longest = 2 + len(LONGER.split())
    found = np.asarray(SCORED[way](model_for(longest), root, [LONG, LONGER]))
    first, second = np.moveaxis(found, 1, 0)
    assert not np.allclose(first, second)
    message = (
        f"prompts: expected at most {longest - 1} tokens, the model's limit, got {longest} in "
        f"'{LONGER}'; shorten it"
    )
    with pytest.raises(ValueError, match=message):
        SCORED[way](model_for(longest - 1), root, [LONG, LONGER])
