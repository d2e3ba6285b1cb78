"""Random views of pictures: one affine sampling and a change of exposure, on their own device."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample


@dataclass(frozen=True)
class Augmentation:
    """How far a view may be from its picture; the defaults are CARZero's and OFF-CLIP's.

    A mirrored chest has its heart on the right, and "left" in a report is then wrong; the published
    configurations do it all the same.

    Attributes:
        mirrored: share of views with left and right exchanged, in [0, 1].
        degrees: largest rotation to either side.
        moved: largest shift, as a share of what the model sees of a side.
        scale: smallest and largest factor of size.
        brightness: smallest and largest factor of grey values.
        contrast: smallest and largest factor of their distance from the picture's mean.
    """

    mirrored: float = 0.3
    degrees: float = 30.0
    moved: float = 0.1
    scale: tuple[float, float] = (0.9, 1.1)
    brightness: tuple[float, float] = (0.8, 1.2)
    contrast: tuple[float, float] = (0.8, 1.2)


def augment(
    pictures: UInt8[Tensor, "image side side"], settings: Augmentation, *, margin: int = 0
) -> UInt8[Tensor, "image side side"]:
    """A random view of each picture, by the device's random numbers.

    The published code crops, mirrors, then rotates what the crop has left, nearest pixel by nearest
    pixel, with black corners. Here all of it is one bilinear sampling of the whole picture, so
    corners are black only where the picture ends; brightness comes before contrast.

    Args:
        pictures: square.
        settings: how far.
        margin: pixels that the model cuts off at each side; a random crop shifts by up to these.
    """
    count, side = len(pictures), pictures.shape[1]

    def between(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(count, *shape, device=pictures.device).uniform_(low, high)

    # The sampling maps a place in the view to one in the picture, both in [-1, 1].
    angle = between(-settings.degrees, settings.degrees) * (math.pi / 180)
    scale = between(*settings.scale)
    mirror = torch.where(between(0.0, 1.0) < settings.mirrored, -1.0, 1.0)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    turn = torch.stack([mirror * cosine, -mirror * sine, sine, cosine], dim=1).unflatten(1, (2, 2))
    reach = settings.moved * (side - 2 * margin) / side
    moved = 2 * between(-reach, reach, 2, 1)
    shift = turn @ moved + 2 * between(-margin / side, margin / side, 2, 1)
    views = _sampled(pictures, turn, shift)
    views.mul_(between(*settings.brightness, 1, 1)).clamp_(0, 255)
    factor, mean = between(*settings.contrast, 1, 1), views.mean(dim=(1, 2), keepdim=True)
    views.mul_(factor).add_(mean * (1 - factor))
    return views.round_().clamp_(0, 255).to(torch.uint8)


def _sampled(
    pictures: UInt8[Tensor, "image side side"],
    turn: Float[Tensor, "image 2 2"],
    shift: Float[Tensor, "image 2 1"],
) -> Float[Tensor, "image side side"]:
    """The grey values at ``turn @ place + shift``; as ``affine_grid``, in a quarter of its time."""
    count, side = len(pictures), pictures.shape[1]
    places = (2 * torch.arange(side, device=pictures.device) + 1) / side - 1
    across, down = turn[:, :, :1] * places, turn[:, :, 1:] * places + shift
    grid = torch.empty(count, side, side, 2, device=pictures.device)
    for axis in range(2):
        torch.add(across[:, axis, None, :], down[:, axis, :, None], out=grid[..., axis])
    return grid_sample(pictures[:, None].float(), grid, align_corners=False)[:, 0]
