"""The digits that a network finds in a picture, and whether it can be sure of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from mnist_drill.data import LabeledImages
from mnist_drill.inputs.paper import ink_on_paper, shrunk
from mnist_drill.inputs.pictures import NoDigit, preprocess
from mnist_drill.inputs.segments import Piece, pieces
from mnist_drill.train import predict

if TYPE_CHECKING:
    from torch import Tensor, nn

SURE = 0.5  # a digit that is not unsure is more probable than all others together, averaged over the variants
MOST = 0.75  # of what is on a page has to be sure digits; else it is a page of something else
VARIANTS = [(angle, scale) for angle in (-9, 0, 9) for scale in (0.88, 1.0, 1.12)]  # degrees, factor
LARGEST = 800  # pixels of the longer side: a larger picture is made smaller
INKED = 0.4  # of the full ink: where a shape is measured
THINNEST = 0.1  # stroke width in terms of the digit's longer side; MNIST has few thinner ones


@dataclass(frozen=True)
class Reading:
    """A digit in a picture: where it is, what the network was given, and what it made of it."""

    box: tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the picture
    image: Tensor  # float32 of shape (1, 28, 28) in [0, 1]
    probabilities: tuple[float, ...]  # of the ten classes, averaged over variants of the image
    sure: bool

    @property
    def digit(self) -> int:
        """The most probable one."""
        return max(range(10), key=self.probabilities.__getitem__)

    @property
    def said(self) -> str:
        """The digit; nothing where that is unsure."""
        return str(self.digit) if self.sure else ""


@dataclass(frozen=True)
class Shape:
    """What is measured of a piece of ink; lengths in terms of the longer side of its box."""

    stroke: float  # mean width of its strokes
    length: float  # of all its strokes together
    holes: int
    aspect: float  # width by height
    turned: float  # correlation, blurred, with itself after a quarter turn

    def may_be_a_digit(self) -> bool:
        """False for blots, crosses, long scribbles and what is wider than digits are. Nearly all of MNIST pass."""
        is_cross = self.holes == 0 and self.turned > 0.83  # no digit without a hole is the same after a quarter turn
        return self.stroke < 0.3 and self.length < 3.7 and self.holes <= 3 and self.aspect < 1.8 and not is_cross


def read(model: nn.Module, tones: Tensor) -> list[Reading]:
    """The digits in a picture of brightnesses of shape (H, W) in [0, 1], from left to right; empty where it has none.

    A digit is unsure where its probability is low or its shape is none of a digit, and where most of the page is so.
    """
    block = math.ceil(max(tones.shape) / LARGEST)
    try:
        found = pieces(ink_on_paper(shrunk(tones.numpy(), block)))
    except NoDigit:
        return []
    shapes = [measured(piece) for piece in found]
    images = torch.stack([preprocess(torch.from_numpy(widened(p, s))) for p, s in zip(found, shapes, strict=True)])
    probabilities = classify(model, images)
    sure = [bool(row.max() >= SURE) and s.may_be_a_digit() for row, s in zip(probabilities, shapes, strict=True)]
    if sum(sure) < MOST * len(sure):
        sure = [False] * len(sure)
    height, width = tones.shape
    return [
        Reading(
            (block * piece.box[1].start, block * piece.box[0].start,
             min(width, block * piece.box[1].stop), min(height, block * piece.box[0].stop)),
            image, tuple(row.tolist()), is_sure,
        )
        for piece, image, row, is_sure in zip(found, images, probabilities, sure, strict=True)
    ]  # fmt: skip


def measured(piece: Piece) -> Shape:
    """Measures a piece of ink by the distance of its pixels to the paper, which is a quarter of a stroke's width."""
    inked = np.pad(piece.ink > INKED, 1)
    depth = ndimage.distance_transform_edt(inked)
    size, area = max(piece.height, piece.width), inked.sum()
    stroke = max(1.0, 4 * (depth[inked].mean() - 0.5))
    regions = np.bincount(ndimage.label(~inked)[0].ravel())[1:]
    holes = int((regions > 0.001 * size**2).sum()) - 1
    # From the middle of one stroke to that of another, a digit is a stroke's width smaller than its box.
    length = area / stroke / max(size - stroke, 1)
    return Shape(stroke / size, length, holes, piece.width / piece.height, after_a_quarter_turn(inked))


def after_a_quarter_turn(inked: np.ndarray) -> float:
    """The correlation of a shape, blurred, with itself after a quarter turn about the middle of its box."""
    side = max(inked.shape)
    above, left = ((side - length) // 2 for length in inked.shape)
    square = np.zeros((side, side), np.float32)
    square[above : above + inked.shape[0], left : left + inked.shape[1]] = inked
    square = ndimage.gaussian_filter(square, 0.08 * side)
    square -= square.mean()
    return float((square * np.rot90(square)).sum() / (square**2).sum())


def widened(piece: Piece, shape: Shape) -> np.ndarray:
    """Its ink, with strokes as wide as MNIST's thinnest where they are thinner."""
    if shape.stroke >= THINNEST:
        return piece.ink
    more = (THINNEST - shape.stroke) * max(piece.height, piece.width) / 2 / (1 - THINNEST)
    margin = math.ceil(more) + 1
    ink = np.pad(piece.ink, margin)
    away = ndimage.distance_transform_edt(ink <= INKED)
    return np.maximum(ink, (more + 0.5 - away).clip(0, 1)).astype(np.float32)


def classify(model: nn.Module, images: Tensor) -> Tensor:
    """Probabilities of shape (N, 10), averaged over variants of each image: rotated a little, smaller and larger."""
    total = torch.zeros(len(images), 10)
    for angle, scale in VARIANTS:
        cosine, sine = math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale
        matrix = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0]]).expand(len(images), 2, 3)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        variant = F.grid_sample(images, grid, align_corners=False)
        total += predict(model, LabeledImages(variant, torch.zeros(len(images)))).softmax(dim=1)
    return total / len(VARIANTS)
