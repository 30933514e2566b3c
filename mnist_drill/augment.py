"""Augmentation of a whole batch at once, each image by its own random transformation.

The geometry is that of `torchvision.transforms.functional.affine` and the erasing that of its `erase`: the tests
compare them image by image. Random numbers come from torch's generator of the device that the images are on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from mnist_drill.recipes import Augmentation


def augment(images: Tensor, augmentation: Augmentation) -> Tensor:
    """The batch of `images`, (N, 1, H, H) in [0, 1] with background 0, each by a random
    transformation of its own."""
    a, n, device = augmentation, len(images), images.device

    def draw(limit: float, *shape: int) -> Tensor:
        return torch.empty(n, *shape, device=device).uniform_(-limit, limit)

    if a.rotation or a.translation or a.scale or a.shear:
        rotation, shift = draw(a.rotation), draw(a.translation, 2)
        images = affine(images, rotation, shift, 1 + draw(a.scale), draw(a.shear))
    if a.cutout:
        centre = torch.randint(images.shape[-1], (n, 2), device=device)
        images = erase(images, centre, a.cutout)
    return images


def affine(images: Tensor, angle: Tensor, translate: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Each image scaled, sheared, rotated about its centre and moved, sampled bilinearly on a background of 0.

    `images` has shape (N, C, H, H); `angle` (N,) in degrees, clockwise; `translate` (N, 2) in pixels, right and down;
    `scale` (N,) a factor; `shear` (N,) in degrees along the x axis.
    """
    angle, shear = angle * (math.pi / 180), shear * (math.pi / 180)
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    # The grid asks where in the input an output pixel comes from: the inverse of rotation @ [[1, -tan(shear)], [0, 1]].
    # Written out, because on a GPU the host waits for `torch.linalg.inv` to tell whether there is one.
    inverse = torch.stack([cos - sin * tan, sin + cos * tan, -sin, cos], dim=1).view(-1, 2, 2) / scale.view(-1, 1, 1)
    offset = -(inverse * translate.unsqueeze(1)).sum(dim=2, keepdim=True)
    # One product for the whole batch; `F.affine_grid` makes many small ones of it. Pixels are counted from the centre,
    # and `grid_sample` wants half a side to be 1.
    side = images.shape[-1]
    along = torch.arange(side, device=images.device) - (side - 1) / 2
    pixels = torch.stack(
        [along.repeat(side), along.repeat_interleave(side), torch.ones(side * side, device=along.device)]
    )
    grid = (torch.cat([inverse, offset], dim=2).view(-1, 3) * (2 / side) @ pixels).view(-1, 2, side, side)
    return F.grid_sample(images, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False)


def erase(images: Tensor, centre: Tensor, side: int) -> Tensor:
    """A square of `side` pixels set to 0 in each image, cut off at the border, as in cutout (DeVries, Taylor, 2017).

    `images` has shape (N, C, H, H); `centre` (N, 2) holds the row and column of the square's centre. The square covers
    `side // 2` pixels before its centre.
    """
    position = torch.arange(images.shape[-1], device=images.device)
    start = centre - side // 2
    inside = (position >= start.unsqueeze(-1)) & (position < start.unsqueeze(-1) + side)  # (N, 2, H)
    square = inside[:, 0, :, None] & inside[:, 1, None, :]
    return images.masked_fill(square.unsqueeze(1), 0)
