"""Heads: one function by several ways of computing it, and the precision of the scores."""

import gc
import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import linear, normalize

from benchmarks._memory import LiveBytes
from offclip.models import ModelConfig
from offclip.models.fusion import absorbs, attention_products
from offclip.models.heads import CosineHead, CrossAttentionHead, pairs_that_fit
from offclip.models.towers import Features

DIM = 16


def head_of(layers=2, seed=0, **settings):
    torch.manual_seed(seed)
    head = CrossAttentionHead(
        DIM, heads=4, layers=layers, feedforward=24, hidden=(12, 8), score_scale=3.0, **settings
    )
    for parameter in head.parameters():  # biases too, so that a forgotten one shows
        nn.init.normal_(parameter, std=0.3)
    return head.double()


def features(count, tokens, *, masked=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, tokens + 1, DIM, dtype=torch.float64, generator=generator)
    mask = torch.rand(count, tokens, generator=generator) < 0.7 if masked else None
    return Features(values[:, 0], values[:, 1:], mask)


def peer_of(layer):
    """PyTorch's own decoder layer with these weights, its self-attention silenced."""
    peer = nn.TransformerDecoderLayer(
        DIM, 4, 24, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
    )
    for parameter in peer.self_attn.out_proj.parameters():
        nn.init.zeros_(parameter)
    parts = layer.query, layer.key, layer.value
    attention = peer.multihead_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        attention.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    attention.out_proj.load_state_dict(layer.out.state_dict())
    for name in ("norm2", "norm3", "linear1", "linear2"):
        getattr(peer, name).load_state_dict(getattr(layer, name).state_dict())
    return peer.eval()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("queries", "tokens"), [(3, 30), (40, 4)])
def test_a_layer_is_pytorchs_decoder_layer(queries, tokens, shared, masked):
    layer = head_of().layers[0]
    memory = features(5, tokens, masked=masked)
    assert layer._absorbs(queries, memory.tokens) == (queries < tokens)
    x = torch.randn(1 if shared else 5, queries, DIM, dtype=torch.float64)
    hidden = None if memory.mask is None else ~memory.mask
    expected = peer_of(layer)(x.expand(5, -1, -1), memory.tokens, memory_key_padding_mask=hidden)
    torch.testing.assert_close(layer(x, memory.tokens, memory.mask), expected)


def test_a_cpu_takes_the_way_with_fewer_products_and_a_gpu_the_one_with_fewer_activations():
    """Counted by hand at the published size: 4 heads of 192, an image of 197 tokens."""
    for queries in (1, 32, 111, 112, 256):
        projected = 2 * 197 * 768**2 + 2 * queries * 197 * 768
        absorbed = 2 * queries * 768**2 + 2 * queries * 4 * 197 * 768
        assert attention_products(queries, 197, 768, 4) == (projected, absorbed)
    for device, most in (("cpu", 111), ("cuda", 49)):
        assert absorbs(most, 197, 768, 4, device=device)
        assert not absorbs(most + 1, 197, 768, 4, device=device)


@pytest.mark.parametrize("free", [0, 4, 4000, 4095, 4096, 4_100_000])
def test_chunks_on_a_gpu_take_at_most_a_quarter_of_its_free_memory(free):
    pairs = pairs_that_fit(free, 1)
    assert pairs == 1 or pairs <= free / 4 < 2 * pairs
    assert pairs.bit_count() == 1


@pytest.mark.parametrize("queries", [4, 40])
def test_activations_bound_what_a_forward_pass_keeps(queries):
    """Counted from the tensors that are live after it, both ways."""
    head = CrossAttentionHead(32, heads=4, layers=2, feedforward=64, hidden=[16])
    side = Features(torch.randn(64, 32), torch.randn(64, 30, 32))
    with LiveBytes() as memory:
        scores = head.rows(side, torch.randn(queries, 32))
        kept = memory.live
    assert scores.requires_grad
    per_memory = 4 * 64 * 31 * 32 * (2 + 2 * 2)  # normed tokens; keys and values of each layer
    assert kept <= 4 * head.activations(30) * 64 * queries + per_memory


@pytest.mark.parametrize("pairs", [1, 7, 10, 24])
def test_chunks_change_neither_scores_nor_gradients(pairs):
    images, texts = features(6, 9), features(5, 7, masked=True, seed=1)
    found = []
    for at_once in (10_000, pairs):
        head = head_of()
        head.pairs_at_once = at_once
        sides = [
            replace(side, pooled=side.pooled.clone().requires_grad_()) for side in (images, texts)
        ]
        scores = head(*sides)
        (scores.image_to_text.tanh().sum() + scores.text_to_image.square().sum()).backward()
        gradients = [parameter.grad for parameter in head.parameters()]
        found.append([scores.image_to_text, scores.text_to_image, *gradients]
                     + [side.pooled.grad for side in sides])  # fmt: skip
        with torch.no_grad():
            torch.testing.assert_close(head(*sides).text_to_image, scores.text_to_image)
    for whole, chunked in zip(*found, strict=True):
        torch.testing.assert_close(whole, chunked)


def test_recomputation_holds_a_chunk_at_a_time():
    """What the backward pass has kept: far less than everything at once keeps."""
    images, texts = features(16, 4), features(16, 4, seed=1)

    def kept(at_once):
        head, sizes = head_of(), []
        head.pairs_at_once = at_once
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            head(images, texts)
        return sum(sizes)

    assert kept(16) < 0.2 * kept(10_000)


def test_recomputed_chunks_do_not_stay_alive():
    """The peak of the backward pass too, with no help from the garbage collector."""
    images, texts = features(32, 4), features(32, 4, seed=1)
    peaks = []
    gc.disable()
    try:
        for at_once in (10_000, 64):
            head = head_of()
            head.pairs_at_once = at_once
            with LiveBytes() as memory:
                head(images, texts).mean.logsumexp(dim=1).sum().backward()
            peaks.append(memory.peak)
    finally:
        gc.enable()
    assert peaks[1] < 0.25 * peaks[0]


def half_features(seed):
    values = features(8, 5, seed=seed)
    return Features(values.pooled.bfloat16(), values.tokens.bfloat16())


@pytest.mark.parametrize("scale", [14.3, 100.0])
def test_cosine_scores_leave_autocast_as_float32_computes_them(scale):
    head = CosineHead(ModelConfig())
    nn.init.constant_(head.log_scale, math.log(scale))
    results = []
    for autocast in (True, False):
        images, texts = half_features(0), half_features(1)
        leaves = [side.pooled.requires_grad_() for side in (images, texts)]
        if not autocast:
            images, texts = (Features(side.pooled.float(), side.tokens) for side in (images, texts))
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            scores = head(images, texts)
        for matrix in (scores.image_to_text, scores.text_to_image):
            assert matrix.dtype == torch.float32
        gradients = torch.autograd.grad(scores.image_to_text.tanh().sum(), leaves)
        results.append([scores.image_to_text, scores.text_to_image, *gradients])
    for ours, exact in zip(*results, strict=True):
        assert torch.equal(ours, exact)
    cosines = normalize(images.pooled) @ normalize(texts.pooled).T
    torch.testing.assert_close(scores.image_to_text, scale * cosines)


def test_the_last_layer_of_the_cross_attention_head_leaves_autocast_in_float32():
    head, hidden = head_of().float(), []
    head.mlp_head[-2].register_forward_hook(lambda *step: hidden.append(step[-1]))
    with torch.autocast("cpu", torch.bfloat16):
        scores = head(half_features(0), half_features(1))
    last = head.mlp_head[-1]
    for matrix, inputs in zip((scores.image_to_text, scores.text_to_image), hidden, strict=True):
        expected = linear(inputs.float(), last.weight, last.bias).squeeze(2)
        assert torch.equal(matrix, head.log_scale.exp() * expected)


@pytest.mark.parametrize("head", [CosineHead(ModelConfig()), head_of()])
def test_scores_of_a_head_in_half_precision_are_float32(head):
    with torch.no_grad():
        scores = deepcopy(head).bfloat16()(half_features(0), half_features(1))
    assert scores.image_to_text.dtype == scores.text_to_image.dtype == torch.float32


@pytest.mark.parametrize("head", [CosineHead(ModelConfig()), head_of()])
def test_scores_have_shapes_without_values(head):
    """On the device "meta", where operations and memory are counted before anything is run."""
    with torch.device("meta"):
        sides = [Features(torch.empty(n, DIM), torch.empty(n, 4, DIM)) for n in (3, 5)]
    scores = deepcopy(head).float().to("meta")(*sides)
    assert scores.image_to_text.shape == (3, 5) and scores.mean.is_meta
