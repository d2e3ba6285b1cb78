"""OFF-CLIP as a module for another training script, called as open_clip calls its loss."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from offclip.losses._checks import (
    check_choice,
    check_not_negative,
    check_numbers,
    check_whole,
)
from offclip.losses.chunked import Scalar, chunked_offclip_loss
from offclip.losses.offclip import BALANCES, FORMS

UNIT_TOLERANCE = 0.02  # above the rounding of unit vectors in bfloat16


class OffClipCriterion(nn.Module):
    """:func:`offclip.losses.offclip_loss` with the call of open_clip's ``ClipLoss``.

    It takes the place of that loss in a training script; the batch has to bring ``is_normal``
    (:class:`offclip.losses.NormalFlagCollator`). The memory is that of
    :func:`offclip.losses.chunked_offclip_loss`. There are no parameters. In training over several
    processes, gather features and flags first. For cells to ignore, pair weights or scores that
    are not cosines, call ``offclip_loss`` on the scores.

    Args:
        form: of the off-diagonal term, ``"soft_ce"`` or ``"bce"``.
        balance: of the off-diagonal term, ``"none"`` or ``"classes"``.
        off_diagonal_weight: factor of the off-diagonal term, non-negative.
        abnormal_weight: factor of the abnormal InfoNCE, non-negative.
        chunk_size: rows of the score matrix held at once.

    Raises:
        ValueError: an unknown form or balance, a negative weight, a chunk size that is not a whole
            number above 0.
    """

    def __init__(
        self,
        *,
        form: str = "soft_ce",
        balance: str = "none",
        off_diagonal_weight: float = 1.0,
        abnormal_weight: float = 1.0,
        chunk_size: int = 1024,
    ):
        super().__init__()
        check_choice("form", form, FORMS)
        check_choice("balance", balance, BALANCES)
        check_not_negative("off_diagonal_weight", off_diagonal_weight)
        check_not_negative("abnormal_weight", abnormal_weight)
        check_whole("chunk_size", chunk_size)
        self.form, self.balance = form, balance
        self.off_diagonal_weight, self.abnormal_weight = off_diagonal_weight, abnormal_weight
        self.chunk_size = chunk_size

    def forward(
        self,
        image_features: Float[Tensor, "batch dim"],
        text_features: Float[Tensor, "batch dim"],
        logit_scale: Scalar,
        logit_bias: Scalar | None = None,
        output_dict: bool = False,
        *,
        is_normal: Bool[Tensor, " batch"],
    ) -> Float[Tensor, ""] | dict[str, Tensor]:
        """The total, or with ``output_dict=True`` its two weighted terms, whose sum is the total.

        Args:
            image_features: of unit length, paired with ``text_features`` by position.
            text_features: of unit length.
            logit_scale: factor on the cosines, already exponentiated (as open_clip's models
                return it; ``model.logit_scale.exp()`` for those of transformers).
            logit_bias: added to every score; matters to ``form="bce"`` alone.
            output_dict: return ``{"off_diagonal_loss": …, "abnormal_loss": …}``. open_clip's
                training loop adds up the values of such a dictionary.
            is_normal: True where the study is normal.

        Returns:
            A scalar in nats, or the dictionary of both terms.

        Raises:
            ValueError: features that are not of unit length, shapes that differ, flags that are
                not boolean, a scale that is not positive.
        """
        check_unit_length("image_features", image_features)
        check_unit_length("text_features", text_features)
        loss = chunked_offclip_loss(
            image_features,
            text_features,
            logit_scale,
            logit_bias,
            is_normal=is_normal,
            form=self.form,
            balance=self.balance,
            off_diagonal_weight=self.off_diagonal_weight,
            abnormal_weight=self.abnormal_weight,
            chunk_size=self.chunk_size,
        )
        if output_dict:
            return {"off_diagonal_loss": loss.off_diagonal, "abnormal_loss": loss.abnormal}
        return loss.total


def check_unit_length(name: str, features: Float[Tensor, "batch dim"]) -> None:
    """Raise unless every row has length 1 within the rounding of half precision."""
    check_numbers(name, features)
    lengths = features.detach().float().norm(dim=1)
    worst = lengths[(lengths - 1).abs().argmax()].item()
    if not abs(worst - 1) <= UNIT_TOLERANCE:
        raise ValueError(
            f"{name}: expected rows of length 1, got one of length {worst:.4g}; "
            f"pass torch.nn.functional.normalize({name}, dim=-1)"
        )
