"""What is decayed, what bounds the scale, and the average of weights."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from offclip.models import ImageTextModel
from offclip.training import train
from offclip.training.optimizer import new_optimizer, weight_average
from tests.training.test_loop import CONFIG, MODEL, batches, validate


def new_model(head="cosine"):
    torch.manual_seed(0)
    return ImageTextModel(replace(MODEL, head=head), vocabulary=20)


@pytest.mark.parametrize("head", ["cosine", "cross_attention"])
def test_biases_norms_and_the_scale_can_be_left_out_of_the_decay(head):
    model = new_model(head)
    (group,) = new_optimizer(model, CONFIG).param_groups
    assert group["params"] == list(model.parameters())
    assert group["weight_decay"] == CONFIG.weight_decay > 0
    decay = {
        id(parameter): group["weight_decay"]
        for group in new_optimizer(model, replace(CONFIG, decayed="weights")).param_groups
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        free = name.endswith(("bias", "log_scale")) or "norm" in name.lower()
        assert decay.pop(id(parameter)) == (0.0 if free else CONFIG.weight_decay), name
    assert not decay


def test_training_decays_what_is_chosen(tmp_path):
    """One step of AdamW, whose decay is no part of the gradient."""
    trained = {}
    for decayed in ("all", "weights"):
        for decay in (0.0, 0.5):
            model = new_model("cross_attention")
            config = replace(
                CONFIG, steps=1, validate_every=1, warmup=0.0, weight_decay=decay, decayed=decayed
            )
            train(model, batches, validate, config, tmp_path / f"{decayed}{decay}")
            trained[decayed, decay] = model.image_tower.project
    for decayed, free in (("all", False), ("weights", True)):
        plain, less = trained[decayed, 0.0], trained[decayed, 0.5]
        assert torch.equal(plain.bias, less.bias) == free
        assert not torch.equal(plain.weight, less.weight)


@pytest.mark.parametrize(("bound", "sticks"), [("forward", True), ("step", False)])
def test_a_scale_above_its_bound_sticks_unless_each_step_bounds_it(bound, sticks, tmp_path):
    model, seen = new_model(), []
    nn.init.constant_(model.head.log_scale, math.log(200))

    def judge(model):
        seen.append(model.head.log_scale.exp().item())
        return validate(model)

    config = replace(CONFIG, weight_decay=0.0, validate_every=1, scale_bound=bound)
    train(model, batches, judge, config, tmp_path)
    if sticks:
        assert seen == pytest.approx([200] * 8)
    else:
        assert seen[0] == pytest.approx(100) and seen[-1] < 99.9


def test_a_scale_at_its_bound_has_a_gradient():
    head = new_model().head
    nn.init.constant_(head.log_scale, 7.0)
    head.bound_scale()
    features = new_model().encode_images(torch.randn(2, 1, 32, 32))
    head.rows(features, features.pooled).diagonal().sum().backward()
    assert head.log_scale.grad.item() == pytest.approx(200, rel=1e-4)


def test_the_average_leaves_whole_numbers_as_they_are():
    """Position ids of BERT and counters of batch normalisation, after 200 updates."""
    model = new_model()
    average = weight_average(model, 0.9)
    before = model.text_tower.backbone.embeddings.position_ids.clone()
    for _ in range(200):
        with torch.no_grad():
            model.image_tower.pool.bias += 0.01
        model.image_tower(torch.randn(2, 1, 32, 32))
        average.update_parameters(model)
    buffers, averaged = (dict(each.named_buffers()) for each in (model, average.module))
    whole = {name for name, buffer in buffers.items() if not buffer.is_floating_point()}
    assert {name.split(".")[-1] for name in whole} >= {"position_ids", "num_batches_tracked"}
    for name in whole:
        assert torch.equal(averaged[name], buffers[name]), name
    assert torch.equal(averaged["text_tower.backbone.embeddings.position_ids"], before)
    bias = model.image_tower.pool.bias - average.module.image_tower.pool.bias
    torch.testing.assert_close(bias, torch.full_like(bias, 0.01 * 0.9 / 0.1))
