"""Pictures from elsewhere, and MNIST's preprocessing.

MNIST's authors scaled each digit, with grey levels, into a box of 20×20 pixels and put its centre of mass into the
middle of 28×28 (LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg")
BOX, SIDE = 20, 28
FAINT = 0.2  # of the full ink: what is fainter does not count as part of the digit's box


class NoDigit(Exception):
    """A picture has nothing in it that could be a digit."""


def find(paths: list[Path]) -> list[Path]:
    """The pictures among files and, sorted by name, in folders. Raises `DrillError` for a folder that has none."""
    found = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(x for x in path.iterdir() if x.suffix.lower() in SUFFIXES)
        if not inside:
            raise DrillError(f"{path} has no picture: put files that end in {', '.join(SUFFIXES)} into it")
        found += inside
    return found


def read(path: Path) -> Tensor:
    """A picture's brightnesses, float32 of shape (H, W) in [0, 1].

    It may be of any size, grey, coloured, with 16 bits or transparent. Raises `DrillError` for a file that is no
    picture.
    """
    try:
        with Image.open(path) as picture:
            return _tones(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise DrillError(f"{path} is not a picture: give a PNG or JPEG file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DrillError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def ink(tones: Tensor) -> Tensor:
    """Of brightnesses of shape (H, W), how much they differ from the background, between 0 and 1.

    The background is the median of the border. Ink is what is darker, or what is brighter, whichever differs more.
    Raises `NoDigit` where hardly anything differs.
    """
    border = torch.cat([tones[0], tones[-1], tones[:, 0], tones[:, -1]])
    difference = tones - border.median()
    if -difference.min() > difference.max():
        difference = -difference
    if difference.max() < 0.05:
        raise NoDigit("it is of one tone")
    return (difference / difference.max()).clamp(min=0)


def preprocess(digit: Tensor) -> Tensor:
    """Ink of shape (H, W) scaled into the box and centred by mass, shape (1, 28, 28)."""
    rows, columns = ((digit > FAINT).any(dim=1 - axis).nonzero().flatten() for axis in (0, 1))
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    boxed = F.interpolate(digit[None, None], (height, width), mode="bicubic", antialias=True)[0, 0].clamp(0, 1)
    boxed = boxed / boxed.max()

    # Where the centre of mass comes to lie nearest to pixel 14, as in MNIST; pixels are counted from 0.
    top, left = (
        min(max(math.floor(SIDE / 2 - centre + 0.5), 0), SIDE - side)
        for centre, side in zip(_centre(boxed), boxed.shape, strict=True)
    )
    image = torch.zeros(1, SIDE, SIDE)
    image[0, top : top + height, left : left + width] = boxed
    return image


def _centre(digit: Tensor) -> tuple[float, float]:
    """The row and the column of the centre of mass."""
    return tuple(
        float((digit.sum(dim=1 - axis) * torch.arange(digit.shape[axis])).sum() / digit.sum()) for axis in (0, 1)
    )


def _tones(picture: Image.Image) -> Tensor:
    """Brightness between 0 and 1, shape (H, W); what is transparent is taken for the opposite of what is not."""
    if picture.mode in ("I", "I;16", "I;16B", "I;16L", "F"):  # a conversion to 8 bits would cut these off
        values = np.asarray(picture, dtype=np.float32)
        return torch.from_numpy(values / max(values.max(), 1))
    if "A" in picture.mode or "transparency" in picture.info:
        grey, alpha = np.asarray(picture.convert("RGBA").convert("LA"), dtype=np.float32).transpose(2, 0, 1) / 255
        seen = (grey * alpha).sum() / max(alpha.sum(), 1e-6)
        return torch.from_numpy(grey * alpha + (1 - alpha) * np.float32(seen < 0.5))
    return torch.from_numpy(np.asarray(picture.convert("L"), dtype=np.float32) / 255)
