"""Every setting of a training run with every architecture: two steps of tiny models."""

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
import torch
from transformers import BertTokenizerFast

from offclip.data.batches import CachedImages, StudyBatches
from offclip.imaging.resize import ImageRows
from offclip.losses import tier_penalty
from offclip.models import ImageTextModel, ModelConfig, PublishedCARZero, PublishedConfig
from offclip.study import VARIANTS, run_config
from offclip.study.run import _prepared
from offclip.training import Objective, TrainConfig, train
from offclip.training.config import CHOICES

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "there", "is", "no", "effusion", "card",
          "##io", "##megaly"]  # fmt: skip
TEXTS = ["there is no effusion", "there is cardiomegaly", "there is effusion",
         "there is no cardiomegaly there is no effusion"]  # fmt: skip
SMALL = ModelConfig(image_size=32, image_widths=(4, 8), dim=8, text_layers=1, heads=2)
PUBLISHED = PublishedConfig(
    vocabulary=len(PIECES), dim=8, layers=4, heads=2, feedforward=8, image_size=32, patch_size=8,
    positions=20, text_length=20, fusion_layers=1, fusion_heads=2, fusion_feedforward=8,
    hidden=(8,),
)  # fmt: skip
MODELS = {
    "cosine": lambda words: ImageTextModel.with_tokenizer(
        dataclasses.replace(SMALL, head="cosine"), words
    ),
    "cross_attention": lambda words: ImageTextModel.with_tokenizer(SMALL, words),
    "published": lambda words: PublishedCARZero(PUBLISHED, words),
}
DEFAULT = TrainConfig(steps=2, batch_size=4, validate_every=1, select="metric")
TIER = {"tier_words": 0.1, "tier_patches": 0.1}
OPTIONS = [
    *({name: choice} for name, choices in CHOICES.items() for choice in choices),
    *({"loss": loss, **TIER} for loss in CHOICES["loss"]),
    {"form": "bce", "balance": "classes"},
    {"off_diagonal_weight": 0.0},
    {"abnormal_weight": 0.5},
    {"tier_words": 0.1},
    {"tier_patches": 0.1, "tier_temperature": 1.0},
    {"precision": "bfloat16", **TIER, "pairs_at_once": 4},
    {"schedule": "plateau", "patience": 0, "warmup": 0.5},
    {"optimizer": "adam", "weight_decay": 0.1, "learning_rate": 1e-2, "clip_norm": 0.1},
    {"accumulate": 2, "ema": 0.5, "save_every": 1, "seed": 3},
]  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("\n".join(PIECES), encoding="utf-8")
    return BertTokenizerFast(vocab=str(path), do_lower_case=True)


def trained(architecture, words, config, folder, augment="none"):
    """The model and its log after two steps on eight pictures of noise."""
    torch.manual_seed(config.seed)
    model = MODELS[architecture](words)
    before = {name: value.clone() for name, value in model.named_parameters()}
    pictures = np.random.default_rng(0).integers(0, 256, (8, 40, 40), dtype=np.uint8)
    rows = ImageRows(pictures, np.arange(8))
    batches = StudyBatches(
        CachedImages([f"study{i}" for i in range(8)], rows), [[text] for text in 2 * TEXTS],
        np.arange(8) % 4 == 0, model.tokenize, batch_size=4, seed=0,
    )  # fmt: skip
    settings = run_config("offclip", head="cross_attention", seed=0, augment=augment)
    result = train(
        model, batches, lambda _: {"metric": 1.0}, config, folder,
        prepare=partial(_prepared, model, settings),
    )  # fmt: skip
    assert [entry["step"] for entry in result.log] == [1, 2]
    assert all(math.isfinite(value) for entry in result.log for value in entry.values())
    moved = [
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    ]
    assert {name.partition(".")[0] for name in moved} == {"image_tower", "text_tower", "head"}
    return result.log


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items())
)
def test_every_setting(options, architecture, words, tmp_path):
    config = dataclasses.replace(DEFAULT, **options)
    log = trained(architecture, words, config, tmp_path)
    assert ("loss_tier" in log[0]) == config.tier
    assert ("loss_abnormal" in log[0]) == (config.loss == "offclip")
    if config.tier:
        assert log[0]["loss_tier"] > 0


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant(variant, architecture, words, tmp_path):
    chosen = run_config(variant, head="cross_attention", seed=0).train
    changed = {name: getattr(chosen, name) for name in ("loss", "tier_words", "tier_patches")}
    log = trained(architecture, words, dataclasses.replace(DEFAULT, **changed), tmp_path)
    assert ("loss_tier" in log[0]) == variant.endswith("+tier")


@pytest.mark.parametrize("architecture", MODELS)
def test_random_views(architecture, words, tmp_path):
    plain = trained(architecture, words, DEFAULT, tmp_path / "plain")
    views = trained(architecture, words, DEFAULT, tmp_path / "views", augment="published")
    assert plain[0]["loss_total"] != views[0]["loss_total"]


def test_no_setting_is_left_out():
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    fixed = {"steps", "batch_size", "validate_every", "select"}
    assert {name for options in OPTIONS for name in options} == fields - fixed


def test_tier_sees_the_words_of_the_published_architecture_and_no_padding(words):
    """Each pair on its own, cut after its last word, gives the same means."""
    torch.manual_seed(0)
    model = MODELS["published"](words).eval()
    module = Objective(model, TrainConfig(loss="infonce", tier_words=1.0, tier_patches=1.0))
    images = model.prepare(torch.randint(0, 256, (2, 40, 40), dtype=torch.uint8))
    flags = {"is_normal": torch.zeros(2, dtype=torch.bool)}
    pair = [TEXTS[1], TEXTS[3]]
    with torch.no_grad():
        read = model.encode_texts(**model.tokenize(pair))
        cosines = model.token_cosines(model.encode_images(images), read)
        found = module(images, **model.tokenize(pair), **flags)["tier"]
    slots = (5, 10)  # [CLS] there is cardiomegaly [SEP]; eight words between the two
    parts = [
        tier_penalty(cosines[i : i + 1, :count], words_weight=w, patches_weight=p, temperature=0.1)
        for w, p in ((1.0, 0.0), (0.0, 1.0))
        for i, count in enumerate(slots)
    ]  # fmt: skip
    expected = (slots[0] * parts[0] + slots[1] * parts[1]) / sum(slots) + (parts[2] + parts[3]) / 2
    torch.testing.assert_close(found, expected)
