"""From the name of a loss to the terms that training minimises and logs."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from offclip.losses import info_nce, off_diagonal_loss, offclip_loss, tier_penalty
from offclip.losses.gather import gathered
from offclip.models import PairModel
from offclip.scores import PairScores
from offclip.training.config import TrainConfig
from offclip.training.distributed import global_scores


def objective(
    config: TrainConfig, scores: PairScores, is_normal: Bool[Tensor, " batch"]
) -> dict[str, Tensor]:
    """Terms of the loss by name; ``total`` is what is minimised.

    Each loss is the mean of the two directions of ``scores``.
    """
    if config.loss == "offclip":
        loss = offclip_loss(
            scores,
            is_normal,
            form=config.form,
            balance=config.balance,
            off_diagonal_weight=config.off_diagonal_weight,
            abnormal_weight=config.abnormal_weight,
        )
        return {
            "total": loss.total,
            "off_diagonal": loss.off_diagonal,
            "abnormal": loss.abnormal,
        }
    directions = (scores.image_to_text, scores.text_to_image.T)
    if config.loss == "infonce":
        terms = [info_nce(logits) for logits in directions]
    else:
        form = "bce" if config.loss == "offdiag_bce" else "soft_ce"
        terms = [
            off_diagonal_loss(logits, is_normal, form=form, balance=config.balance)
            for logits in directions
        ]
    return {"total": (terms[0] + terms[1]) / 2}


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The precision in which towers and head work."""
    enabled = config.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


class Objective(nn.Module):
    """A model with its loss: from a part of a batch to the terms of the whole batch's loss.

    Args:
        model: what is trained.
        config: names the loss, and the precision of the model.
    """

    def __init__(self, model: PairModel, config: TrainConfig):
        super().__init__()
        self.model, self.config = model, config

    def forward(
        self,
        images: Float[Tensor, "part channel height width"],
        input_ids: Int[Tensor, "part token"],
        attention_mask: Int[Tensor, "part token"],
        is_normal: Bool[Tensor, " part"],
    ) -> dict[str, Tensor]:
        """Terms by name, for this process's part of the batch."""
        model = self.model
        with autocast(self.config, images.device):
            seen = model.encode_images(images)
            read = model.encode_texts(input_ids, attention_mask)
            scores = global_scores(model.head, seen, read)
            cosines = model.token_cosines(seen, read) if self.config.tier else None
        terms = objective(self.config, scores, gathered(is_normal))
        if cosines is None:
            return terms
        penalty = self._tier(cosines, read.words)
        return {**terms, "total": terms["total"] + penalty, "tier": penalty}

    def _tier(self, cosines: Tensor, mask: Tensor | None) -> Tensor:
        """TIER's penalty, already weighted; its first mean is over the words of all processes."""
        if mask is None:
            mask = torch.ones(cosines.shape[:2], dtype=torch.bool, device=cosines.device)
        count = mask.sum()[None]
        own, *every = torch.cat([count, gathered(count)]).tolist()  # waits for the device once
        share = len(every) * own / sum(every)
        penalty = tier_penalty(
            cosines,
            words_weight=self.config.tier_words * share,
            patches_weight=self.config.tier_patches,
            token_mask=mask,
            temperature=self.config.tier_temperature,
        )
        return gathered(penalty[None]).mean()
