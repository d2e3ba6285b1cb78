"""The module called as open_clip calls its loss."""

import pytest
import torch
from torch.nn.functional import normalize

from offclip.losses import OffClipCriterion, info_nce, offclip_loss
from offclip.scores import PairScores
from tests.losses.test_chunked import LargestTensor


def features(size=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [normalize(torch.randn(size, 4, generator=generator), dim=1).to(dtype) for _ in range(2)]


IS_NORMAL = torch.tensor([True, False, True, False, False, True])
OPTIONS = {
    "form": "bce",
    "balance": "classes",
    "off_diagonal_weight": 2.0,
    "abnormal_weight": 0.5,
}


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_equals_offclip_loss_on_the_scores(options):
    images, texts = features()
    scale, bias = torch.tensor(7.0), torch.tensor(-2.0)
    scores = scale * images @ texts.T + bias
    expected = offclip_loss(PairScores(scores, scores.T), IS_NORMAL, **options)
    criterion = OffClipCriterion(**options, chunk_size=4)
    total = criterion(images, texts, scale, bias, is_normal=IS_NORMAL)
    assert total.item() == pytest.approx(expected.total.item(), rel=1e-5)
    terms = criterion(images, texts, scale, bias, is_normal=IS_NORMAL, output_dict=True)
    assert list(terms) == ["off_diagonal_loss", "abnormal_loss"]
    assert terms["off_diagonal_loss"].item() == pytest.approx(
        expected.off_diagonal.item(), rel=1e-5
    )
    assert terms["abnormal_loss"].item() == pytest.approx(expected.abnormal.item(), rel=1e-5)
    positional = criterion(images, texts, scale, bias, True, is_normal=IS_NORMAL)
    assert list(positional) == list(terms)


def test_the_output_of_an_open_clip_model_fits_with_the_flags_beside_it():
    images, texts = features()
    output = {"image_features": images, "text_features": texts, "logit_scale": torch.tensor(9.0)}
    loss = OffClipCriterion()(**output, is_normal=IS_NORMAL)
    assert loss.ndim == 0 and not list(OffClipCriterion().parameters())
    no_normals = torch.zeros(6, dtype=torch.bool)
    loss = OffClipCriterion(abnormal_weight=0.0)(**output, is_normal=no_normals)
    assert loss.item() == pytest.approx(info_nce(9.0 * images @ texts.T).item(), rel=1e-5)


def test_rows_held_at_once_can_be_chosen():
    images, texts = features(size=64)
    with LargestTensor() as seen:
        OffClipCriterion(chunk_size=3)(images, texts, 5.0, is_normal=torch.arange(64) < 9)
    assert seen.elements == 64 * 4 and OffClipCriterion().chunk_size == 1024


def test_unit_features_in_half_precision_pass():
    images, texts = features(size=64, dtype=torch.bfloat16)
    loss = OffClipCriterion()(images, texts, 5.0, is_normal=torch.arange(64) < 9)
    assert loss.dtype == torch.float32


def test_flags_have_to_be_given():
    images, texts = features()
    with pytest.raises(TypeError, match="is_normal"):
        OffClipCriterion()(images, texts, 5.0)


@pytest.mark.parametrize(("factor", "side"), [(1.03, 0), (0.97, 1), (torch.nan, 0)])
def test_features_that_are_not_of_unit_length(factor, side):
    pair = features()
    name = ("image_features", "text_features")[side]
    pair[side] = pair[side].clone()
    pair[side][2] *= factor
    with pytest.raises(ValueError, match=f"{name}: expected rows of length 1, got one of length"):
        OffClipCriterion()(*pair, 5.0, is_normal=IS_NORMAL)
    if factor == 1.03:
        with pytest.raises(ValueError, match="length 1.03; pass torch.nn.functional.normalize"):
            OffClipCriterion()(*pair, 5.0, is_normal=IS_NORMAL)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logit_scale": -0.1}, "logit_scale"),
        ({"is_normal": IS_NORMAL.float()}, "is_normal: expected dtype torch.bool"),
        ({"is_normal": IS_NORMAL[:3]}, "is_normal: expected shape \\(6,\\)"),
        ({"text_features": features()[1][:3]}, "same shape"),
        (
            {"text_features": torch.eye(6, 4).long()},
            "text_features: expected floating-point numbers, got torch.int64",
        ),
        (
            {"image_features": torch.ones(0, 4), "text_features": torch.ones(0, 4)},
            "image_features: expected at least one pair, got shape \\(0, 4\\)",
        ),
    ],
)
def test_bad_batches_are_named(arguments, message):
    images, texts = features()
    good = {"image_features": images, "text_features": texts, "logit_scale": 5.0}
    with pytest.raises(ValueError, match=message):
        OffClipCriterion()(**(good | {"is_normal": IS_NORMAL} | arguments))


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("form", "mse"),
        ("balance", "x"),
        ("off_diagonal_weight", -1.0),
        ("abnormal_weight", -1.0),
        ("chunk_size", 0),
        ("chunk_size", 1.5),
    ],
)
def test_bad_options_are_refused_when_the_module_is_made(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        OffClipCriterion(**{name: value})
