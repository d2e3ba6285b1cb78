"""From the name of a loss to the terms that training minimises and logs."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from offclip.losses import info_nce, off_diagonal_loss, offclip_loss, tier_penalty
from offclip.scores import PairScores
from offclip.training.config import TrainConfig


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


def with_tier(
    config: TrainConfig,
    terms: dict[str, Tensor],
    cosines: Float[Tensor, "pair token patch"],
    attention_mask: Int[Tensor, "pair token"],
) -> dict[str, Tensor]:
    """Add TIER's penalty, already weighted, to the terms of :func:`objective`."""
    penalty = tier_penalty(
        cosines,
        words_weight=config.tier_words,
        patches_weight=config.tier_patches,
        token_mask=attention_mask.bool(),
        temperature=config.tier_temperature,
    )
    return {**terms, "total": terms["total"] + penalty, "tier": penalty}
