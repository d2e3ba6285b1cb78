"""Any vision or text model of transformers as a tower: shapes, gradients, clear errors."""

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    ConvNextConfig,
    Dinov2WithRegistersConfig,
    DistilBertConfig,
    ModernBertConfig,
    ResNetConfig,
    RobertaConfig,
    SwinConfig,
    ViTConfig,
)

from offclip.evaluation.scoring import prompt_features
from offclip.losses import offclip_loss
from offclip.models import train_tokenizer
from offclip.models.backbones import BackboneModel, TextBackbone, VisionBackbone

TRANSFORMER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {
    "vit": (ViTConfig(**TRANSFORMER, intermediate_size=16, image_size=32, patch_size=8), 16),
    "vit, grey": (
        ViTConfig(**TRANSFORMER, intermediate_size=16, image_size=32, patch_size=8, num_channels=1),
        16,
    ),
    "dinov2, registers": (
        Dinov2WithRegistersConfig(
            **TRANSFORMER, image_size=32, patch_size=8, num_register_tokens=3
        ),
        16,
    ),
    "convnext": (
        ConvNextConfig(hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, image_size=32), 16,
    ),
    "resnet": (
        ResNetConfig(embedding_size=4, hidden_sizes=[8], depths=[1], layer_type="basic"), 64,
    ),
}  # fmt: skip
BERT = BertConfig(**TRANSFORMER, vocab_size=20, intermediate_size=16)


def texts(count=3):
    ids = torch.randint(5, 20, (count, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("name", VISION)
def test_a_vision_backbone_gives_its_patches(name):
    config, patches = VISION[name]
    torch.manual_seed(0)
    tower = VisionBackbone(config, 12).eval()
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        found = tower(grey)
        again = tower(grey.expand(-1, tower.channels, -1, -1))
    assert found.tokens.shape == (2, patches, 12) and found.pooled.shape == (2, 12)
    torch.testing.assert_close(again.tokens, found.tokens)
    with pytest.raises(ValueError, match="expected 1 or"):
        tower(torch.randn(2, 7, 32, 32))


DISTILLED = DistilBertConfig(vocab_size=20, dim=16, n_layers=1, n_heads=2, hidden_dim=16)


@pytest.mark.parametrize("config", [BERT, DISTILLED])
def test_a_text_backbone_does_not_see_padding(config):
    torch.manual_seed(0)
    tower, tokens = TextBackbone(config, 12).eval(), texts()
    with torch.no_grad():
        found = tower(**tokens)
        alone = tower(**{name: value[:1, :4] for name, value in tokens.items()})
    torch.testing.assert_close(found.pooled[0], alone.pooled[0], atol=1e-5, rtol=1e-4)
    assert not found.mask[0, 4:].any()


def test_two_backbones_train_with_the_loss():
    torch.manual_seed(0)
    model = BackboneModel(VISION["vit"][0], BERT, dim=12)
    found = model(torch.randn(3, 1, 32, 32), **texts())
    offclip_loss(found, torch.tensor([True, False, False])).total.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None and "pooler" not in n]
    assert not without
    maps, _ = model.attention(torch.randn(3, 1, 32, 32), **texts())
    assert maps.shape == (1, 3, 3, 17)


@pytest.mark.parametrize(
    ("text", "most", "length"),
    [
        (BertConfig(**TRANSFORMER, vocab_size=60, intermediate_size=16,
                    max_position_embeddings=9), 32, 9),
        (BertConfig(**TRANSFORMER, vocab_size=60, intermediate_size=16,
                    max_position_embeddings=9), 7, 7),
        (RobertaConfig(**TRANSFORMER, vocab_size=60, intermediate_size=16, pad_token_id=1,
                       max_position_embeddings=11), 10**30, 9),
        (DistilBertConfig(vocab_size=60, dim=16, n_layers=1, n_heads=2, hidden_dim=16,
                          max_position_embeddings=9), 10**30, 9),
        (ModernBertConfig(**TRANSFORMER, vocab_size=60, intermediate_size=16, pad_token_id=0,
                          bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3), 11, 11),
    ],
)  # fmt: skip
def test_texts_end_where_the_positions_of_a_backbone_do(text, most, length):
    model = BackboneModel(VISION["vit"][0], text, dim=12)
    model.use_tokenizer(train_tokenizer(["there is effusion"] * 2, length=most))
    words = ["effusion " * count for count in (length - 2, length - 1)]
    assert model.text_length == length and model.token_counts(words) == [length, length + 1]
    assert model.encode_texts(**model.tokenize(words)).tokens.shape == (2, length, 12)
    assert prompt_features(model, words[:1]).tokens.shape == (1, length, 12)
    with pytest.raises(ValueError, match=f"at most {length} tokens.* got {length + 1} in 'effus"):
        prompt_features(model, words)


def test_a_folder_gives_its_weights_and_a_name_is_not_downloaded(tmp_path):
    kept = AutoModel.from_config(BERT)
    kept.save_pretrained(tmp_path / "bert")
    tower = TextBackbone(tmp_path / "bert", 12)
    for name, weight in kept.state_dict().items():
        assert torch.equal(tower.backbone.state_dict()[name], weight)
    with pytest.raises(FileNotFoundError, match="nothing is downloaded here"):
        TextBackbone("bert-base-uncased", 12)


def test_a_hierarchy_without_patches_of_its_own_is_refused():
    config = SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4
    )
    with pytest.raises(ValueError, match="SwinModel gives 16 tokens for 64 patches"):
        VisionBackbone(config, 12)
