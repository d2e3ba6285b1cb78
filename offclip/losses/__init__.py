"""Losses as pure functions of score matrices: no device, no state, no logging.

``targets`` says which cells are positives, ``cross_entropy`` and ``sigmoid`` compare scores with
them, ``offclip`` puts the two terms of OFF-CLIP together. ``peers``, ``local`` and ``tier`` hold
what other papers do. ``chunked`` does it for large batches from embeddings, and ``clip`` and
``collate`` fit it into another training script, where ``gather`` brings in the embeddings of other
processes.
"""

from offclip.losses.chunked import (
    chunked_info_nce,
    chunked_off_diagonal_loss,
    chunked_offclip_loss,
)
from offclip.losses.clip import OffClipCriterion
from offclip.losses.collate import NormalFlagCollator
from offclip.losses.cross_entropy import info_nce
from offclip.losses.local import gloria_local_loss, local_scores
from offclip.losses.offclip import OffClipLoss, abnormal_info_nce, off_diagonal_loss, offclip_loss
from offclip.losses.peers import carzero_loss, medclip_loss, supcon_in_loss
from offclip.losses.sigmoid import sigmoid_loss
from offclip.losses.targets import (
    jaccard_targets,
    pair_targets,
    same_findings_targets,
    semantic_targets,
)
from offclip.losses.tier import tier_penalty

__all__ = [
    "NormalFlagCollator",
    "OffClipCriterion",
    "OffClipLoss",
    "abnormal_info_nce",
    "carzero_loss",
    "chunked_info_nce",
    "chunked_off_diagonal_loss",
    "chunked_offclip_loss",
    "gloria_local_loss",
    "info_nce",
    "jaccard_targets",
    "local_scores",
    "medclip_loss",
    "off_diagonal_loss",
    "offclip_loss",
    "pair_targets",
    "same_findings_targets",
    "semantic_targets",
    "sigmoid_loss",
    "supcon_in_loss",
    "tier_penalty",
]
