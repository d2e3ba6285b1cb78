"""The circle's forces are the gradients that the chapters write down."""

import math
from functools import partial

import pytest
import torch

from offclip.losses import info_nce, off_diagonal_loss, sigmoid_loss
from offclip.toys import (
    circle_logits,
    dealt_anew,
    descend,
    forces,
    pair_flow,
    same_text,
)


def angles(*degrees):
    return torch.tensor(degrees, dtype=torch.float64).deg2rad()


def jittered(count, seed, spread=0.3):
    generator = torch.Generator().manual_seed(seed)
    even = torch.arange(count, dtype=torch.float64) * 2 * math.pi / count
    return even + spread * torch.randn(count, generator=generator, dtype=torch.float64)


def test_logits_are_scaled_cosines():
    logits = circle_logits(angles(0, 90), angles(0, 60, 180), 2.0)
    expected = [[2.0, 1.0, -2.0], [0.0, math.sqrt(3), 0.0]]
    torch.testing.assert_close(logits, torch.tensor(expected, dtype=torch.float64))


def test_forces_are_softmax_minus_target_along_the_circle():
    images, texts, scale = jittered(5, seed=0), jittered(5, seed=1), 4.0
    on_images, on_texts, value = forces(info_nce, images, texts, logit_scale=scale)
    logits = circle_logits(images, texts, scale)
    own = torch.eye(5, dtype=torch.float64)
    cells = (logits.softmax(1) - own + logits.softmax(0) - own) / (2 * 5)
    slope = scale * torch.sin(images[:, None] - texts[None, :])  # minus the derivative by an image
    torch.testing.assert_close(on_images, (cells * slope).sum(1))
    torch.testing.assert_close(on_texts, -(cells * slope).sum(0))
    torch.testing.assert_close(value, info_nce(logits))


def test_descent_keeps_every_frame_and_the_loss_falls():
    path = descend(info_nce, jittered(4, seed=0), jittered(4, seed=1), steps=150)
    assert path.images.shape == path.texts.shape == (151, 4)
    assert bool((path.loss.diff() <= 1e-9).all())
    assert path.loss[-1] < 0.01
    torch.testing.assert_close(path.images[0], jittered(4, seed=0))


def test_descent_moves_by_rate_times_force():
    images, texts = jittered(3, seed=0), jittered(3, seed=1)
    on_images, _, _ = forces(info_nce, images, texts, logit_scale=10.0)
    path = descend(info_nce, images, texts, rate=0.5, steps=1)
    torch.testing.assert_close(path.images[1], images + 0.5 * on_images)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"steps": -1}])
def test_descent_refuses_impossible_settings(wrong):
    with pytest.raises(ValueError, match="rate, steps: expected"):
        descend(info_nce, angles(0, 90), angles(0, 90), **wrong)


def test_two_equal_pairs_are_a_saddle_of_info_nce_and_rest_for_the_others():
    gaps = angles(-20, 0, 20)
    both = torch.ones(2, dtype=torch.bool)
    on_images, on_texts = pair_flow(info_nce, gaps, logit_scale=5.0)
    assert on_images[1, 1] == on_texts[1, 1] == 0
    assert on_images[2, 2] > 0 and on_texts[2, 2] > 0  # both gaps open
    soft = partial(off_diagonal_loss, is_normal=both, form="soft_ce")
    on_images, on_texts = pair_flow(soft, gaps, logit_scale=5.0)
    assert on_images[2, 2] < 0 and on_texts[2, 2] < 0  # both gaps close
    torch.testing.assert_close(on_images[1], torch.zeros(3, dtype=torch.float64))  # equal texts


def test_flow_rows_are_texts_and_columns_images():
    gaps = angles(0, 10, 30)
    positives = torch.ones(2, 2, dtype=torch.float64)
    on_images, on_texts = pair_flow(partial(sigmoid_loss, targets=positives), gaps, logit_scale=5.0)
    assert on_images[0, 2] < 0  # equal texts, images apart: the images close up
    assert on_texts[2, 0] < 0
    torch.testing.assert_close(on_images, on_texts.T)


def test_images_of_one_kind_share_their_text():
    kind = torch.tensor([0, 0, 0, 1])
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    repeated = torch.stack([logits[:, 0]] * 3 + [logits[:, 1]], dim=1)
    torch.testing.assert_close(same_text(info_nce, kind)(logits), info_nce(repeated))


def test_deals_move_the_first_texts_only_and_average_to_the_soft_targets():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    seen = []
    watch = dealt_anew(lambda each: seen.append(each) or info_nce(each), 3, generator)
    values = torch.stack([watch(logits) for _ in range(600)])
    assert all(torch.equal(each[:, 3:], logits[:, 3:]) for each in seen)
    assert len({tuple(each[0].tolist()) for each in seen}) == 6
    is_normal = torch.tensor([True, True, True, False, False])
    soft = off_diagonal_loss(logits, is_normal, form="soft_ce")
    assert values.mean().item() == pytest.approx(
        soft.item(), abs=4 * values.std().item() / 600**0.5
    )
