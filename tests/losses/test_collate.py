"""The collator that carries the flag of each example into the batch."""

from collections import UserDict

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from offclip.losses import NormalFlagCollator


def test_mappings_through_a_loader():
    examples = [{"x": torch.tensor(i), "is_normal": i % 2 == 0} for i in range(4)]
    loader = DataLoader(examples, batch_size=4, collate_fn=NormalFlagCollator(default_collate))
    (batch,) = loader
    assert batch["is_normal"].dtype == torch.bool
    assert batch["is_normal"].tolist() == [True, False, True, False]
    assert batch["x"].tolist() == [0, 1, 2, 3]
    assert examples[0].keys() == {"x", "is_normal"}


def test_the_wrapped_function_does_not_see_the_flag_and_keeps_its_type():
    seen = []

    def collate(examples):
        seen.extend(examples)
        return UserDict(x=[example["x"] for example in examples])

    batch = NormalFlagCollator(collate, key="healthy")([{"x": 1, "healthy": np.bool_(True)}])
    assert seen == [{"x": 1}] and isinstance(batch, UserDict)
    assert batch["x"] == [1] and batch["healthy"].tolist() == [True]


def test_tuples_carry_the_flag_in_the_last_place():
    examples = [(torch.ones(2), "one", torch.tensor(True)), (torch.zeros(2), "two", False)]
    images, texts, is_normal = NormalFlagCollator(default_collate)(examples)
    assert images.shape == (2, 2) and list(texts) == ["one", "two"]
    assert is_normal.dtype == torch.bool and is_normal.tolist() == [True, False]


@pytest.mark.parametrize(
    "value", [None, 1, 0.0, "yes", torch.tensor(1), torch.tensor([True, False]), np.array(0.0)]
)
def test_a_flag_that_is_no_boolean(value):
    examples = [{"x": 1, "is_normal": True}, {"x": 2, "is_normal": value}]
    with pytest.raises(ValueError, match="is_normal: expected a boolean .* in example 1; an unk"):
        NormalFlagCollator(default_collate)(examples)
    with pytest.raises(ValueError, match="is_normal: expected a boolean .* in example 0"):
        NormalFlagCollator(default_collate)([(2, value)])


def test_one_element_arrays_are_flags_too():
    examples = [{"x": 1, "is_normal": flag} for flag in (torch.tensor([True]), np.array([False]))]
    assert NormalFlagCollator(default_collate)(examples)["is_normal"].tolist() == [True, False]


def test_a_missing_flag_and_mixed_or_unknown_examples():
    collator = NormalFlagCollator(default_collate)
    with pytest.raises(ValueError, match="got None in example 0"):
        collator([{"x": 1}])
    with pytest.raises(ValueError, match="expected all mappings or all tuples, got dict, tuple"):
        collator([{"x": 1, "is_normal": True}, (1, True)])
    with pytest.raises(ValueError, match="got list"):
        collator([[1, True]])


def test_a_batch_that_cannot_take_the_flag():
    with pytest.raises(ValueError, match="that returns a mapping .* got int; give"):
        NormalFlagCollator(lambda examples: 3)([{"x": 1, "is_normal": True}])
