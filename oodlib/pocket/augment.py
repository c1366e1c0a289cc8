"""Random changes to a batch of pictures, on tensors: another place, another colour, another hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Luma weights of ITU-R BT.601.
_LUMA = torch.tensor([0.299, 0.587, 0.114])


def place(pictures: Tensor, flip: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Scale (0.65 to 1.15), turn (up to 20 degrees), shift (up to 12 %), mirror and bend a little, on white.

    Parameters
    ----------
    pictures : Tensor
        float (B, 3, H, W) in [0, 1].
    flip : Tensor
        bool (B,): whether a picture may be mirrored.
    side : int
        Side of the result in pixels.
    generator : torch.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        float (B, 3, side, side) in [0, 1].
    """
    n = len(pictures)
    angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(20)
    zoom = 1 / (0.65 + 0.5 * torch.rand(n, generator=generator))
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * 0.24
    mirror = torch.where((torch.rand(n, generator=generator) < 0.5) & flip, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = zoom * angle.cos() * mirror, -zoom * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = zoom * angle.sin() * mirror, zoom * angle.cos()
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False)
    # No two hands draw a thing with the same proportions: a smooth random field moves every point by about 1.5 %.
    bend = 0.03 * torch.randn(n, 2, 5, 5, generator=generator)
    grid = grid + F.interpolate(bend, size=(side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    # Sampling pads with zeros, so white must be zero while it does.
    return 1 - F.grid_sample(1 - pictures, grid, align_corners=False)


def colour(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Turn the hue, fade or strengthen saturation and contrast, sometimes to grey; white stays white.

    Parameters
    ----------
    pictures : Tensor
        float (B, 3, H, W) in [0, 1].
    generator : torch.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        float (B, 3, H, W) in [0, 1].
    """
    n = len(pictures)
    ink = 1 - pictures
    # A rotation about the grey axis turns every hue by one angle: any angle for a third of pictures, else a small one.
    wide = torch.rand(n, generator=generator) < 0.33
    turn = (torch.rand(n, generator=generator) * 2 - 1) * torch.where(wide, math.pi, 0.25)
    cos, sin = turn.cos(), turn.sin()
    same, after, before = (1 + 2 * cos) / 3, (1 - cos) / 3 + sin / math.sqrt(3), (1 - cos) / 3 - sin / math.sqrt(3)
    hue = torch.stack([same, before, after, after, same, before, before, after, same], 1).view(n, 3, 3)
    grey = torch.ones(3, 1) * _LUMA
    saturation = 0.6 + 0.8 * torch.rand(n, 1, 1, generator=generator)
    saturation[torch.rand(n, generator=generator) < 0.12] = 0
    mix = (saturation * torch.eye(3) + (1 - saturation) * grey) @ hue
    strength = 0.75 + 0.45 * torch.rand(n, 1, 1, 1, generator=generator)
    return (1 - strength * torch.einsum("bij,bjhw->bihw", mix, ink)).clamp(0, 1)


def shade(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Strengthen the ink of half of the pictures on one side and fade it on the other, as light does; white stays.

    Parameters
    ----------
    pictures : Tensor
        float (B, 3, H, H) in [0, 1].
    generator : torch.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        float (B, 3, H, H) in [0, 1].
    """
    n, side = len(pictures), pictures.shape[-1]
    slope = (torch.rand(n, 2, generator=generator) * 2 - 1) * 0.3
    slope[torch.rand(n, generator=generator) < 0.5] = 0
    axis = torch.linspace(-1, 1, side)
    light = 1 + slope[:, :1, None] * axis[None, None, :] + slope[:, 1:, None] * axis[None, :, None]
    return (1 - (1 - pictures) * light[:, None]).clamp(0, 1)


def augment(pictures: Tensor, flip: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Draw one style of each picture, place it, colour it and shade it.

    Parameters
    ----------
    pictures : Tensor
        uint8 (B, S, 3, H, W): S styles of each picture.
    flip : Tensor
        bool (B,): whether a picture may be mirrored.
    side : int
        Side of the result in pixels.
    generator : torch.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        float (B, 3, side, side), scaled to [-1, 1] as the image tower wants it.
    """
    n, styles = pictures.shape[:2]
    # Half of the pictures as drawn, the other half in one of the other styles.
    style = torch.where(
        torch.rand(n, generator=generator) < 0.5, 0, torch.randint(0, styles, (n,), generator=generator)
    )
    batch = pictures[torch.arange(n), style].float() / 255
    return shade(colour(place(batch, flip, side, generator), generator), generator) * 2 - 1
