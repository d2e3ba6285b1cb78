"""The peer of the head's benchmark: named when absent, and judged before it is timed."""

import json

import pytest
import torch

from benchmarks._head import Setting, new_head
from benchmarks._published import fusion_weights, published_module
from benchmarks.published_head import compare
from tests.paths import golden


def test_a_folder_without_the_published_code_is_named(tmp_path):
    with pytest.raises(SystemExit, match="expected a clone of the published code.*git clone"):
        published_module(tmp_path, "text_model")


def test_our_weights_have_the_published_names_and_shapes(tmp_path):
    head = new_head(Setting(tmp_path, "cpu", "float32", 2))
    published = json.loads(golden("carzero_state_dict.json").read_text(encoding="utf-8"))
    shapes = {
        name.removeprefix("fusion_module."): entry["shape"]
        for name, entry in published.items()
        if name.startswith("fusion_module.")
    }
    ours = {name: list(weight.shape) for name, weight in fusion_weights(head).items()}
    assert ours.items() <= shapes.items()
    unused = [n for n in set(shapes) - set(ours) if "self_attn" not in n and ".norm1." not in n]
    assert unused == ["logit_scale"]


def test_a_value_far_from_the_published_one_stops_the_benchmark():
    compare("same", [1e-5, 0.3], [0.0, 0.2])
    with pytest.raises(SystemExit, match="scores: expected the published values up to 1.0e-04"):
        compare("scores", [1e-3], [0.0])
    with pytest.raises(SystemExit, match="scores"):
        compare("scores", [torch.nan], [0.0])
