"""One loader for all that is saved: told by ``model_type``, never by a look at its contents."""

import json

import pytest
import torch
from safetensors.torch import save_file

from offclip.models import (
    ImageTextModel,
    ModelConfig,
    PublishedCARZero,
    PublishedConfig,
    load,
    save_model,
    train_tokenizer,
)

TEXTS = ["there is pleural effusion", "there is no pleural effusion", "there is clear lung"] * 2


def small(head):
    torch.manual_seed(0)
    config = ModelConfig(image_size=32, image_widths=(8, 16), dim=16, heads=2, head=head)
    return ImageTextModel.with_tokenizer(config, train_tokenizer(TEXTS)).eval()


def published():
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS)
    sizes = PublishedConfig(
        vocabulary=len(tokenizer), dim=16, layers=4, heads=2, feedforward=24, image_size=32,
        positions=16, text_length=12, fusion_layers=2, fusion_heads=2, fusion_feedforward=20,
        hidden=(12, 10, 8),
    )  # fmt: skip
    return PublishedCARZero(sizes, tokenizer).eval()


def same(first, second):
    assert type(first) is type(second) and first.config == second.config
    assert not second.training
    own, other = first.state_dict(), second.state_dict()
    assert list(own) == list(other) and all(torch.equal(own[name], other[name]) for name in own)


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_a_small_model_comes_back(tmp_path, head):
    model = small(head)
    again = load(save_model(tmp_path / "kept", model))
    same(model, again)
    assert again.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    assert json.loads((tmp_path / "kept" / "config.json").read_text())["model_type"] == "offclip"


def test_a_published_model_comes_back_with_or_without_a_tokenizer(tmp_path):
    model = published()
    model.save_pretrained(tmp_path / "kept")
    again = load(tmp_path / "kept")
    same(model, again)
    assert again.tokenize(TEXTS[:1])["input_ids"].shape == (1, 6)
    same(model, PublishedCARZero.from_pretrained(tmp_path / "kept"))
    assert json.loads((tmp_path / "kept" / "config.json").read_text())["model_type"] == "carzero"
    (tmp_path / "kept" / "tokenizer").rename(tmp_path / "words")
    assert load(tmp_path / "kept").tokenizer is None
    given = load(tmp_path / "kept", tokenizer=tmp_path / "words")
    assert given.tokenizer.get_vocab() == model.tokenizer.get_vocab()


def test_a_given_tokenizer_goes_before_the_saved_one(tmp_path):
    folder = save_model(tmp_path / "kept", small("cosine"))
    other = train_tokenizer(TEXTS, length=4)
    assert load(folder, tokenizer=other).text_length == 4


def test_a_file_is_a_checkpoint(tmp_path):
    save_file({"some.weight": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="this is no CARZero"):
        load(tmp_path / "a.safetensors")
    with pytest.raises(FileNotFoundError, match="a saved model, a run or a checkpoint, got noth"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "expected a model_type of offclip, carzero, got None"),
        ("[]", "got None"),
        ('{"dim": 16}', "got None"),
        ('{"model_type": "bert"}', "got 'bert'"),
        ('{"model_type": "offclip"}', "sizes and tokenizer of model_type offclip.*image_widths"),
        ('{"model_type": "offclip", "image_widths": [8], "depth": 3}', "sizes and.*depth"),
    ],
)
def test_other_folders_are_refused(tmp_path, settings, message):
    folder = save_model(tmp_path / "kept", small("cosine"))
    (folder / "config.json").write_text(settings)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_a_small_model_needs_its_tokenizer(tmp_path):
    folder = save_model(tmp_path / "kept", small("cosine"))
    (folder / "tokenizer").rename(tmp_path / "gone")
    with pytest.raises(ValueError, match="tokenizer/"):
        load(folder)
