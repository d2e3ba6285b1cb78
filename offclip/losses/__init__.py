"""Losses as pure functions of score matrices: no device, no state, no logging.

Imports only torch, jaxtyping and :mod:`offclip.scores`.
"""

from offclip.losses.cross_entropy import info_nce
from offclip.losses.offclip import OffClipLoss, abnormal_info_nce, off_diagonal_loss, offclip_loss
from offclip.losses.sigmoid import sigmoid_loss
from offclip.losses.targets import pair_targets
from offclip.losses.tier import tier_penalty

__all__ = [
    "OffClipLoss",
    "abnormal_info_nce",
    "info_nce",
    "off_diagonal_loss",
    "offclip_loss",
    "pair_targets",
    "sigmoid_loss",
    "tier_penalty",
]
