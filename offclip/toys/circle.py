"""Image and text features on the unit circle, and gradient descent on their angles.

The smallest contrastive model there is: no towers, every feature is a point that moves freely.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Trajectory:
    """What :func:`descend` went through; frame 0 is the start.

    Attributes:
        images: angles of the images in radians, a row for each frame.
        texts: angles of the texts, likewise.
        loss: the loss of each frame, in nats.
    """

    images: Float[Tensor, "frame image"]
    texts: Float[Tensor, "frame text"]
    loss: Float[Tensor, " frame"]


def circle_logits(
    images: Float[Tensor, " image"], texts: Float[Tensor, " text"], logit_scale: float
) -> Float[Tensor, "image text"]:
    r"""Scaled cosines of unit vectors given by their angles.

    .. math:: S_{ij} = \tau^{-1} \cos(\alpha_i - \beta_j)

    Args:
        images: angles :math:`\alpha` in radians.
        texts: angles :math:`\beta` in radians.
        logit_scale: :math:`\tau^{-1}`, positive.
    """
    return logit_scale * torch.cos(images[:, None] - texts[None, :])


def forces(
    loss: Loss,
    images: Float[Tensor, " image"],
    texts: Float[Tensor, " text"],
    *,
    logit_scale: float,
) -> tuple[Float[Tensor, " image"], Float[Tensor, " text"], Float[Tensor, ""]]:
    r"""Minus the gradient of the loss by each angle, and the loss itself.

    Args:
        loss: from logits (image, text) to a scalar; any loss of :mod:`offclip.losses` with its
            other arguments bound.
        images: angles in radians.
        texts: angles in radians.
        logit_scale: factor on the cosines.

    Returns:
        :math:`-\partial\mathcal{L}/\partial\alpha_i` (positive: counter-clockwise),
        :math:`-\partial\mathcal{L}/\partial\beta_j`, and :math:`\mathcal{L}` in nats.
    """
    angles = [images.detach().requires_grad_(), texts.detach().requires_grad_()]
    value = loss(circle_logits(angles[0], angles[1], logit_scale))
    on_images, on_texts = torch.autograd.grad(value, angles)
    return -on_images, -on_texts, value.detach()


def descend(
    loss: Loss,
    images: Float[Tensor, " image"],
    texts: Float[Tensor, " text"],
    *,
    logit_scale: float = 10.0,
    rate: float = 0.02,
    steps: int = 200,
) -> Trajectory:
    """Plain gradient descent on the angles: ``angle += rate * force``, no momentum.

    Args:
        loss: as in :func:`forces`. It is called once a step, so it may draw anew each time.
        images: angles at the start, in radians.
        texts: angles at the start, in radians.
        logit_scale: factor on the cosines; it does not learn.
        rate: step length, positive.
        steps: number of steps, at least 0.

    Raises:
        ValueError: a rate that is not positive, or a negative number of steps.
    """
    if not rate > 0 or steps < 0:
        raise ValueError(f"rate, steps: expected rate > 0 and steps >= 0, got {rate} and {steps}")
    frames = []
    for _ in range(steps + 1):
        on_images, on_texts, value = forces(loss, images, texts, logit_scale=logit_scale)
        frames.append((images, texts, value))
        images, texts = images + rate * on_images, texts + rate * on_texts
    return Trajectory(*(torch.stack(each) for each in zip(*frames, strict=True)))


def same_text(loss: Loss, kind: Int[Tensor, " image"]) -> Loss:
    """``loss`` for a batch in which images of one kind come with one and the same text.

    Args:
        loss: takes the square logits of the batch.
        kind: for each image the column of its text; columns with the same number are one point.
    """
    return lambda logits: loss(logits[:, kind])


def dealt_anew(loss: Loss, count: int, generator: torch.Generator) -> Loss:
    """``loss`` for a batch whose first ``count`` texts are dealt out by chance at each call.

    Args:
        loss: takes the square logits of the batch.
        count: how many pairs, from the first on, are interchangeable.
        generator: of the deals.
    """

    def of_a_deal(logits: Tensor) -> Tensor:
        order = torch.arange(len(logits))
        order[:count] = torch.randperm(count, generator=generator)
        return loss(logits[:, order])

    return of_a_deal


def pair_flow(
    loss: Loss, gaps: Float[Tensor, " gap"], *, logit_scale: float
) -> tuple[Float[Tensor, "text_gap image_gap"], Float[Tensor, "text_gap image_gap"]]:
    """How fast two pairs drift apart, for every gap between their images and between their texts.

    The images lie at plus and minus half their gap, the texts likewise. Mirror symmetry keeps the
    two midpoints where they are, so these two gaps are the whole state.

    Args:
        loss: as in :func:`forces`, for a batch of two.
        gaps: the gaps to try, in radians, for the images (columns) and for the texts (rows).
        logit_scale: factor on the cosines.

    Returns:
        Speed of the image gap and of the text gap under gradient flow.
    """
    halves = torch.stack([gaps, -gaps], dim=1) / 2
    flows = [
        [forces(loss, images, texts, logit_scale=logit_scale)[:2] for images in halves]
        for texts in halves
    ]
    speed = torch.stack([torch.stack([torch.stack(cell) for cell in row]) for row in flows])
    by_gap = speed[..., 0] - speed[..., 1]
    return by_gap[..., 0], by_gap[..., 1]
