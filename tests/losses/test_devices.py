"""Losses work on the device of their inputs and in full precision, whatever the context is."""

import pytest
import torch
from torch.nn.functional import normalize

from offclip import losses
from offclip.scores import PairScores
from tests.reads import SINGLE, Reads

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(4, 4, generator=GENERATOR)
IMAGES, TEXTS = (normalize(torch.randn(4, 3, generator=GENERATOR), dim=1) for _ in range(2))
TOKENS = torch.randn(4, 5, 3, generator=GENERATOR)
SCORES = PairScores(LOGITS, LOGITS.T)
FINDINGS = torch.rand(4, 600, generator=GENERATOR) < 0.8
FLAGS = torch.tensor([True, False, True, False])
CELLS = {"pair_weight": torch.rand(4, 4, generator=GENERATOR), "ignore": LOGITS > 1.5}
BALANCED = {"balance": "classes"}

CALLS = {
    "pair_targets": lambda: losses.pair_targets(FLAGS),
    "same_findings_targets": lambda: losses.same_findings_targets(LOGITS > 0),
    "jaccard_targets": lambda: losses.jaccard_targets(FINDINGS),
    "semantic_targets": lambda: losses.semantic_targets(IMAGES, TEXTS),
    "info_nce": lambda: losses.info_nce(LOGITS, **CELLS),
    "sigmoid_loss": lambda: losses.sigmoid_loss(LOGITS, LOGITS.sigmoid(), **CELLS),
    "bce": lambda: losses.off_diagonal_loss(LOGITS, FLAGS, form="bce", **CELLS, **BALANCED),
    "soft_ce": lambda: losses.off_diagonal_loss(LOGITS, FLAGS, form="soft_ce", **BALANCED),
    "offclip_loss": lambda: losses.offclip_loss(SCORES, FLAGS, **CELLS).total,
    "carzero_loss": lambda: losses.carzero_loss(SCORES),
    "medclip_loss": lambda: losses.medclip_loss(LOGITS, IMAGES, TEXTS),
    "supcon_in_loss": lambda: losses.supcon_in_loss(LOGITS, losses.pair_targets(FLAGS)),
    "local_scores": lambda: losses.local_scores(TOKENS, TOKENS.flip(0)),
    "gloria_local_loss": lambda: losses.gloria_local_loss(TOKENS, TOKENS.flip(0)),
    "tier_penalty": lambda: losses.tier_penalty(TOKENS, words_weight=1.0, patches_weight=1.0),
    "chunked_info_nce": lambda: losses.chunked_info_nce(IMAGES, TEXTS, 5.0),
    "chunked_bce": lambda: losses.chunked_off_diagonal_loss(
        IMAGES, TEXTS, torch.tensor(5.0, device="cpu"), is_normal=FLAGS, **BALANCED
    ),
    "chunked_soft_ce": lambda: losses.chunked_off_diagonal_loss(
        IMAGES, TEXTS, 5.0, is_normal=FLAGS, **BALANCED
    ),
    "criterion": lambda: losses.OffClipCriterion()(IMAGES, TEXTS, 5.0, is_normal=FLAGS),
    "chunked_offclip_loss": lambda: (
        losses.chunked_offclip_loss(
            IMAGES, TEXTS, torch.tensor(5.0, device="cpu"), is_normal=FLAGS
        ).total
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_default_device_is_not_used(name):
    expected = CALLS[name]()
    with torch.device("meta"):
        result = CALLS[name]()
    torch.testing.assert_close(result, expected, atol=0, rtol=0)


# Checks of values, and which rows are abnormal, have to be known before the work goes on.
READS = {
    "offclip_loss": ["nonzero"] * 2,
    "chunked_info_nce": [SINGLE],
    "chunked_bce": [SINGLE],
    "chunked_soft_ce": [SINGLE],
    "chunked_offclip_loss": [SINGLE, "nonzero", SINGLE],
    "criterion": [SINGLE] * 3 + ["nonzero", SINGLE],
    "local_scores": [SINGLE],
    "gloria_local_loss": [SINGLE],
    "tier_penalty": ["index"],
}


@pytest.mark.parametrize("name", CALLS)
def test_losses_wait_for_the_device_only_where_they_must(name):
    with Reads() as reads:
        CALLS[name]()
    assert [each for each, _ in reads.found] == READS.get(name, [])


@pytest.mark.parametrize("name", CALLS)
def test_autocast_changes_nothing(name):
    expected = CALLS[name]()
    with torch.autocast("cpu", torch.bfloat16):
        result = CALLS[name]()
    torch.testing.assert_close(result, expected, atol=0, rtol=0)
