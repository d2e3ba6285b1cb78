"""OFF-CLIP as a module for another training script, called as open_clip calls its loss."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from offclip.losses._checks import (
    check_choice,
    check_not_negative,
    check_numbers,
    check_whole,
)
from offclip.losses.chunked import Scalar, chunked_offclip_loss
from offclip.losses.gather import gathered, processes
from offclip.losses.offclip import BALANCES, FORMS
from offclip.scores import full_precision

UNIT_TOLERANCE = 0.02  # above the rounding of unit vectors in bfloat16


class OffClipCriterion(nn.Module):
    """:func:`offclip.losses.offclip_loss` with the call of open_clip's ``ClipLoss``.

    It takes the place of that loss in a training script; the batch has to bring ``is_normal``
    (:class:`offclip.losses.NormalFlagCollator`). The memory is that of
    :func:`offclip.losses.chunked_offclip_loss`. There are no parameters. For cells to ignore, pair
    weights or scores that are not cosines, call ``offclip_loss`` on the scores.

    In a process group the loss is that of the pairs of all processes, in every process. Gradients
    averaged over processes, as those of ``DistributedDataParallel`` are, equal those of one process
    with the whole batch; in open_clip this is ``gather_with_grad=True``. All processes have to call
    it, with equally many pairs.

    Args:
        form: of the off-diagonal term, ``"soft_ce"`` or ``"bce"``.
        balance: of the off-diagonal term, ``"none"`` or ``"classes"``.
        off_diagonal_weight: factor of the off-diagonal term, non-negative.
        abnormal_weight: factor of the abnormal InfoNCE, non-negative.
        chunk_size: rows of the score matrix held at once.
        gather: take in the pairs of all processes. False in a script that has gathered them
            already, or where one process calls it alone.

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
        gather: bool = True,
    ):
        super().__init__()
        check_choice("form", form, FORMS)
        check_choice("balance", balance, BALANCES)
        check_not_negative("off_diagonal_weight", off_diagonal_weight)
        check_not_negative("abnormal_weight", abnormal_weight)
        check_whole("chunk_size", chunk_size)
        self.form, self.balance = form, balance
        self.off_diagonal_weight, self.abnormal_weight = off_diagonal_weight, abnormal_weight
        self.chunk_size, self.gather = chunk_size, gather

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
            ValueError: features that are not of unit length, shapes that differ, also between
                processes, flags that are not boolean, a scale that is not positive.
        """
        if self.gather and processes() > 1:
            image_features, text_features, is_normal = pairs_of_all_processes(
                image_features, text_features, is_normal
            )
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


def pairs_of_all_processes(
    image_features: Float[Tensor, "part dim"],
    text_features: Float[Tensor, "part dim"],
    is_normal: Bool[Tensor, " part"],
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Bool[Tensor, " batch"]]:
    """Features in full precision, so that their gradients are summed in it, and flags.

    Raises:
        ValueError: processes have unequal numbers of pairs, or features are no numbers.
    """
    device = image_features.device
    parts = {
        "image_features": image_features,
        "text_features": text_features,
        "is_normal": is_normal.to(device),
    }
    sizes = gathered(torch.tensor([[len(part) for part in parts.values()]], device=device))
    for name, counts in zip(parts, sizes.T.tolist(), strict=True):
        if len(set(counts)) > 1:
            raise ValueError(
                f"{name}: expected equally many pairs in every process, "
                f"got {', '.join(map(str, counts))}; pass drop_last=True to the data loader"
            )
    check_numbers("image_features", image_features)
    check_numbers("text_features", text_features)
    images, texts = (gathered(full_precision(x)) for x in (image_features, text_features))
    return images, texts, gathered(parts["is_normal"])


def check_unit_length(name: str, features: Float[Tensor, "batch dim"]) -> None:
    """Raise unless every row has length 1 within the rounding of half precision."""
    check_numbers(name, features)
    lengths = features.detach().float().norm(dim=1)
    worst = lengths.take((lengths - 1).abs().argmax()).item()  # waits for the device once
    if not abs(worst - 1) <= UNIT_TOLERANCE:
        raise ValueError(
            f"{name}: expected rows of length 1, got one of length {worst:.4g}; "
            f"pass torch.nn.functional.normalize({name}, dim=-1)"
        )
