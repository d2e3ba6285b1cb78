"""The published model: reference values, strict names, nothing pickled is run."""

import json
import pickle
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertTokenizerFast

from offclip.evaluation.scoring import prompt_features
from offclip.imaging.resize import published_square
from offclip.models import ImageTextModel, ModelConfig
from offclip.models.published import (
    PublishedCARZero,
    PublishedConfig,
    load_image_tower,
    load_published,
    published_preprocess,
)
from offclip.models.published.loading import _read, _weights, model_of
from offclip.models.published.names import (
    published_weights,
    unused_shapes,
    used_shapes,
)
from offclip.models.published.text import published_text
from tests.paths import golden

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "there", "is", "no",
         "effusion", "card", "##io", "##megaly",
         "[MASK]"]  # fmt: skip
TINY = PublishedConfig(
    vocabulary=len(WORDS), dim=16, layers=4, heads=2, feedforward=24, image_size=32, patch_size=16,
    positions=16, text_length=12, fusion_layers=2, fusion_heads=2, fusion_feedforward=20,
    hidden=(12, 10, 8),
)  # fmt: skip


def weights_of(model):
    """Published weights that give this model, unused ones included."""
    weights = published_weights(model.state_dict())
    return weights | {name: torch.ones(s) for name, s in unused_shapes(model.config).items()}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    return BertTokenizerFast(vocab=str(path), do_lower_case=True)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    return PublishedCARZero(TINY, tokenizer).eval()


def scores(model, texts=("there is no effusion", "cardiomegaly is there")):
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.scores(images, **model.tokenize(list(texts)))


def test_a_text_is_counted_as_it_is_cleaned_and_cut_after_the_slots(model):
    assert model.text_length == TINY.text_length == 12
    fits = "There is (no) effusion! There is no cardiomegaly."  # 7 words, 3 pieces, 2 ends
    assert model.token_counts([fits, fits + " No effusion there.", "Edema"]) == [12, 15, 2]
    tokens = model.tokenize([fits, fits + " No effusion there."])
    assert tokens["attention_mask"].sum(dim=1).tolist() == [12, 12]
    assert len(prompt_features(model, [fits]).tokens) == 1
    with pytest.raises(ValueError, match="at most 12 tokens, the model's limit, got 15 in 'There"):
        prompt_features(model, [fits, fits + " No effusion there."])


def test_weights_come_back_under_published_names(model, tokenizer):
    again = model_of(weights_of(model), TINY)
    again.use_tokenizer(tokenizer)
    assert torch.equal(scores(again).image_to_text, scores(model).image_to_text)
    assert torch.equal(scores(again).text_to_image, scores(model).text_to_image)


def test_a_saved_model_comes_back_with_its_tokenizer(model, tmp_path):
    model.save_pretrained(tmp_path / "kept")
    assert (tmp_path / "kept" / "model.safetensors").is_file()
    again = PublishedCARZero.from_pretrained(tmp_path / "kept")
    assert again.config == TINY and not again.training
    assert torch.equal(scores(again).image_to_text, scores(model).image_to_text)
    model_of(weights_of(model), TINY).save_pretrained(tmp_path / "bare")
    bare = PublishedCARZero.from_pretrained(tmp_path / "bare")
    assert bare.tokenizer is None


def test_word_pieces_are_summed_and_padding_is_averaged(model):
    tokens = model.tokenize(["cardiomegaly is there"])
    assert tokens["input_ids"].shape == (1, 7)
    padded = {name: torch.nn.functional.pad(ids, (0, 5)) for name, ids in tokens.items()}
    with torch.no_grad():
        states = model.text_tower.model(
            padded["input_ids"], padded["attention_mask"], output_hidden_states=True
        ).hidden_states
        found, short = model.encode_texts(**padded), model.encode_texts(**tokens)
    summed = sum(states[-4:])[0]
    expected = torch.zeros(12, 16)
    expected[0], expected[1] = summed[0], summed[1] + summed[2] + summed[3]  # [CLS], card ##io ...
    expected[2], expected[3], expected[4] = summed[4], summed[5], summed[6]  # is, there, [SEP]
    torch.testing.assert_close(found.tokens[0], expected)
    torch.testing.assert_close(found.pooled[0], expected.sum(dim=0) / 12)
    torch.testing.assert_close(short.pooled, found.pooled)
    assert found.mask is None
    assert found.words.tolist() == short.words.tolist() == [[True] * 5 + [False] * 7]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("There is Pleural Effusion.", "there is pleural effusion"),
        ("Atelectasis", ""),
        ("Atelectasis. There is no effusion", "there is no effusion"),
        ("1. Clear lungs. 2. No\npneumothorax.", "clear lungs no pneumothorax"),
        ("ill-defined \ufffd\ufffdnodule é x", "ill defined nodule x"),
    ],
)
def test_texts_are_cleaned_as_published(text, cleaned):
    assert published_text(text) == cleaned


def test_a_text_of_which_nothing_is_left_is_named(model):
    with pytest.raises(ValueError, match="nothing is left of 'Atelectasis'.*there is"):
        model.tokenize(["there is no effusion", "Atelectasis"])


@pytest.mark.parametrize("shape", [(300, 200), (97, 256), (256, 256)])
def test_a_batch_of_squares_is_prepared_as_single_pictures_are(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    whole = PublishedCARZero(replace(TINY, image_size=224, patch_size=56))
    square = torch.from_numpy(published_square(picture))
    assert square.shape == (256, 256) and whole.margin == 16
    prepared = whole.prepare(square[None])[0]
    assert torch.equal(prepared, torch.from_numpy(published_preprocess(picture)))
    with pytest.raises(ValueError, match="expected a side of at least 256 pixels, got 224"):
        whole.prepare(square[None, :224, :224])


def test_texts_need_a_tokenizer_that_fits(model, tokenizer):
    bare = model_of(weights_of(model), TINY)
    with pytest.raises(ValueError, match="give it to load_published"):
        bare.tokenize(["there is no effusion"])
    with pytest.raises(ValueError, match="which tokens continue a word"):
        bare.encode_texts(**model.tokenize(["there is no effusion"]))
    with pytest.raises(ValueError, match="expected at most 5 tokens"):
        PublishedCARZero(replace(TINY, vocabulary=5), tokenizer)


def test_every_published_name_is_checked(model):
    whole = weights_of(model)
    name = "fusion_module.decoder.layers.1.linear1.weight"
    for change, words in (
        ({name: None}, f"missing: {name}"),
        ({"fusion_module.logit_scale": None}, "missing: fusion_module.logit_scale"),
        ({"img_encoder.extra": torch.ones(2)}, "unknown: img_encoder.extra"),
        ({name: torch.ones(3, 16)}, r"linear1.weight has shape \(3, 16\), expected \(20, 16\)"),
        ({"fusion_module.decoder.norm.bias": torch.ones(16)}, "one module.*they differ"),
    ):
        changed = {k: w for k, w in {**whole, **change}.items() if w is not None}
        with pytest.raises(ValueError, match=words):
            model_of(changed, TINY)
    ids = "text_encoder.model.embeddings.position_ids"
    model_of({**whole, ids: torch.arange(16)[None]}, TINY)


def test_what_is_not_a_checkpoint_is_refused(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="expected a checkpoint"):
        load_published(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ValueError, match="text.ckpt: not a checkpoint"):
        load_published(tmp_path / "text.ckpt")
    with pytest.raises(ValueError, match="expected tensors by name.*found epoch"):
        load_published({"epoch": 3})
    with pytest.raises(ValueError, match="no CARZero.*load_image_tower"):
        load_published({"vision_encoder.cls_token": torch.ones(1)})


class Evil:
    """Runs a command when it is unpickled, as OmegaConf's objects run code of theirs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Settings(dict):
    """Stands for a configuration object of a library that is not installed."""


def test_files_of_all_kinds_are_read_and_nothing_in_them_is_run(tmp_path, model):
    weights, trap = weights_of(model), tmp_path / "trap"
    lightning = {f"CARZero.{name}": weight for name, weight in weights.items()}
    extra = {"hyper_parameters": Settings(a=[Evil(trap)]), "callbacks": Evil(trap), "epoch": 14}
    for name, content in (
        ("lightning.ckpt", {"state_dict": lightning, **extra}),
        ("offclip.pt", {"model_state_dict": weights, "optimizer": [Evil(trap)]}),
        ("bare.pth", weights),
    ):
        torch.save(content, tmp_path / name)
        found = _weights(tmp_path / name)
        assert set(found) == set(weights), name
        assert all(torch.equal(found[key], weights[key]) for key in weights)
    old = tmp_path / "old.pth"  # before PyTorch 1.6
    torch.save({"state_dict": weights, **extra}, old, _use_new_zipfile_serialization=False)
    assert set(_weights(old)) == set(weights)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(trap)))
    with pytest.raises(ValueError, match="evil.pth: not a checkpoint"):
        load_published(tmp_path / "evil.pth")
    assert not trap.exists()
    torch.load(tmp_path / "lightning.ckpt", weights_only=False)
    assert trap.exists(), "the trap works"
    save_file({k: w.clone() for k, w in weights.items()}, tmp_path / "safe.safetensors")
    assert set(_read(tmp_path / "safe.safetensors")) == set(weights)


def test_names_and_shapes_are_those_of_the_published_model():
    published = json.loads(golden("carzero_state_dict.json").read_text(encoding="utf-8"))
    config = PublishedConfig(
        vocabulary=published["text_encoder.model.embeddings.word_embeddings.weight"]["shape"][0]
    )
    with torch.device("meta"):
        shapes = used_shapes(PublishedCARZero(config).state_dict()) | unused_shapes(config)
    assert shapes == {name: tuple(entry["shape"]) for name, entry in published.items()}


@pytest.fixture(scope="module")
def reference():
    """The published model's weights by their rule, its inputs and its outputs."""
    about = json.loads(golden("carzero_forward.json").read_text(encoding="utf-8"))
    entries = json.loads(golden("carzero_state_dict.json").read_text(encoding="utf-8"))
    weights = {}
    for name, entry in entries.items():
        key = name.replace("fusion_module.decoder.norm", "fusion_module.decoder_norm")
        generator = np.random.default_rng(zlib.crc32((about["salt"] + key).encode()))
        drawn = generator.standard_normal(int(np.prod(entry["shape"])), dtype=np.float32)
        drawn *= np.float32(0.06 if name.startswith("fusion_module") else 0.02)
        weight = torch.from_numpy(drawn.reshape(entry["shape"]))
        weights[name] = weight + 1 if entry["layer_norm"] and name.endswith("weight") else weight
    return weights, about, dict(np.load(golden("carzero_forward.npz")))


@pytest.mark.slow
def test_scores_and_attention_are_the_published_ones(reference):
    weights, about, expected = reference
    model = load_published(weights, golden("vocab.txt"))
    tokens = model.tokenize(about["texts"])
    for name, ids in tokens.items():  # there padded to 97
        longest = ids.shape[1]
        assert (ids.numpy() == expected[name][:, :longest]).all()
        assert not expected["attention_mask"][:, longest:].any()
    generator = np.random.default_rng(about["image_seed"])
    images = torch.from_numpy(generator.standard_normal((3, 3, 224, 224), dtype=np.float32))
    with torch.no_grad():
        seen, read = model.encode_images(images), model.encode_texts(**tokens)
        found, maps = model.head(seen, read), model.head.attention(seen, read)
    local = seen.tokens.transpose(1, 2).unflatten(2, (14, 14))
    for name, ours in {
        "image_global": seen.pooled,
        "image_local_sample": local[:, ::64, ::5, ::5],
        "text_global": read.pooled,
        "text_local_sample": read.tokens.transpose(1, 2)[:, ::64, :12],
        "i2t": found.image_to_text,
        "t2i": found.text_to_image,
        "score": found.mean,
        "i2t_attention": maps[0],
        "t2i_attention": maps[1],
    }.items():
        np.testing.assert_allclose(ours.numpy(), expected[name], atol=2e-5, rtol=0, err_msg=name)


def test_m3ae_gives_an_image_tower():
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = used_shapes(PublishedCARZero(PublishedConfig(vocabulary=1)).state_dict())
    prefix = "img_encoder.model."
    names = {k.removeprefix(prefix): s for k, s in shapes.items() if k.startswith(prefix)}
    weights = {f"vision_encoder.{name}": torch.randn(shape) for name, shape in names.items()}
    weights["vision_encoder.decoder_pred.weight"] = torch.ones(2)
    tower = load_image_tower({"state_dict": weights})
    fused = weights["vision_encoder.blocks.3.attn.qkv.weight"]
    assert torch.equal(tower.model.layers[3].attention.k_proj.weight, fused[768:1536])
    del weights["vision_encoder.blocks.3.attn.qkv.weight"]
    with pytest.raises(ValueError, match=r"missing: blocks.3.attn.qkv.weight"):
        load_image_tower(weights)


def test_pictures_are_prepared_to_the_pixel():
    reference = np.load(golden("carzero_preprocess.npz"))
    for name in ("portrait", "landscape", "small"):
        found = published_preprocess(reference[f"{name}_input"])
        assert found.shape == (3, 224, 224) and found.dtype == np.float32
        pixels = (reference[f"{name}_crop224"].astype(np.float32) / 255 - 0.4978) / 0.2449
        np.testing.assert_allclose(found[0], pixels, atol=1e-6)
        assert (found == found[0]).all()


@pytest.mark.parametrize("shape", [(10, 10, 3), (0, 5), (1, 2000)])
def test_a_picture_that_cannot_be_prepared_is_refused(shape):
    with pytest.raises(ValueError, match="image: "):
        published_preprocess(np.zeros(shape, dtype=np.uint8))


def test_small_models_are_told_apart():
    small = ImageTextModel(ModelConfig(), 11)
    with pytest.raises(ValueError, match="no CARZero"):
        load_published(small.state_dict())
