"""Ink on paper: a photograph without its light, its noise and the lines that are printed on the paper."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from mnist_drill.inputs import pictures

COARSE = 80  # pixels of the longer side where the background is estimated
WINDOW = 0.3  # of the longer side: no stroke is as wide
DRAWING = 64  # pixels: a picture as small as this was drawn, not photographed
FAINTEST = 0.15  # contrast to the paper of the faintest ink
STEP = 0.4  # of the paper's brightness: no light falls off as much between neighbouring blocks
LINE_WIDTH = 0.02  # of the longer side: no printed line is as wide


def ink_on_paper(tones: np.ndarray) -> np.ndarray:
    """Of brightnesses of shape (H, W) in [0, 1], how much ink covers each pixel: 0 paper, 1 full ink, same shape.

    Ink is what is darker than the paper around it, or brighter. What lies beyond an edge of the paper counts as ink,
    connected to the border. Raises `NoDigit` where nothing differs from the paper.
    """
    if max(tones.shape) <= DRAWING:
        return pictures.ink(torch.from_numpy(tones)).numpy()
    noise = noise_of(tones)
    if is_bright_on_dark(tones):
        tones = 1 - tones
    if noise > 0.01:
        tones = ndimage.gaussian_filter(tones, min(2.0, 20 * noise))
        noise = max(noise_of(tones), noise / 8)  # what is left is no longer independent in each pixel
    paper, outside = background(tones)
    scale = np.maximum(paper, 0.25)  # light falls on paper and ink alike
    ink = np.where(outside, 0, without_lines((paper - tones) / scale, noise))
    least = 5 * noise / scale
    inked = ink[ink > np.maximum(least, FAINTEST)]
    if len(inked) < 4:
        raise pictures.NoDigit("there is only paper")
    ink = np.where(ink > least, ink / np.quantile(inked, 0.9), 0).clip(0, 1)
    return np.where(outside, 1, ink).astype(np.float32)


def noise_of(tones: np.ndarray) -> float:
    """The standard deviation of a sensor's noise, from the median absolute deviation of what no smooth picture has.

    Each pixel is compared with its neighbours by a kernel that no plane passes (Immerkær, "Fast Noise Variance
    Estimation", 1996).
    """
    if min(tones.shape) < 3:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    response = ndimage.convolve(tones, kernel)[1:-1, 1:-1]
    return float(np.median(np.abs(response)) / 0.6745 / 6)


def is_bright_on_dark(tones: np.ndarray) -> bool:
    """Whether what differs from the median of its surroundings is rather brighter than darker."""
    coarse = shrunk(tones, math.ceil(2 * max(tones.shape) / COARSE))
    around = ndimage.median_filter(coarse, max(3, max(coarse.shape) // 2), mode="nearest")
    difference = coarse - around
    # Dark ink is the rule: a bright one has to differ clearly more.
    return bool(np.quantile(difference, 0.998) > 0.05 - 1.2 * np.quantile(difference, 0.002))


def shrunk(tones: np.ndarray, block: int) -> np.ndarray:
    """The means of square blocks of `block` pixels to a side; at the right and below what is outermost is repeated."""
    padded = np.pad(tones, [(0, -length % block) for length in tones.shape], mode="edge")
    return padded.reshape(padded.shape[0] // block, block, -1, block).mean(axis=(1, 3))


def background(tones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The brightness of the paper below the ink, and where there is no paper: both of the same shape as `tones`.

    The first is what a closing by a disk wider than any stroke leaves: a slope and a soft edge stay as they are. The
    disk may lie outside in part, so that it leaves what is dark along the border, too. Beyond a step there is none.
    """
    block = math.ceil(max(tones.shape) / COARSE)
    coarse = shrunk(tones, block)
    radius = max(1, round(WINDOW * max(coarse.shape) / 2))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = rows**2 + columns**2 <= radius**2 + 1
    closed = ndimage.grey_dilation(np.pad(coarse, radius), footprint=disk, mode="constant", cval=0)
    closed = ndimage.grey_erosion(closed, footprint=disk, mode="constant", cval=1)[radius:-radius, radius:-radius]
    highest, lowest = (pick(closed, 3, mode="nearest") for pick in (ndimage.maximum_filter, ndimage.minimum_filter))
    regions = ndimage.label(highest - lowest < STEP * highest)[0]
    outside = regions != max(1, np.bincount(regions[regions > 0]).argmax() if regions.any() else 1)
    if not outside.all():  # near a step what counts is the paper beside it
        nearest = ndimage.distance_transform_edt(outside, return_distances=False, return_indices=True)
        closed = closed[tuple(nearest)]
    closed = ndimage.gaussian_filter(closed, 1, mode="nearest")
    fine = F.interpolate(torch.from_numpy(closed)[None, None], scale_factor=block, mode="bilinear")[0, 0].numpy()
    height, width = tones.shape
    return fine[:height, :width], outside.repeat(block, 0).repeat(block, 1)[:height, :width]


def without_lines(ink: np.ndarray, noise: float) -> np.ndarray:
    """Ink without the lines that cross the picture from one side to the other, and whole where it covers them."""
    for axis in (1, 0):
        profile = np.median(ink, axis=axis)
        least = np.quantile(ink, 0.3, axis=axis)
        wide = ndimage.binary_opening(least > 0.1, np.ones(max(2, round(LINE_WIDTH * max(ink.shape)))))
        level = np.where((least > max(0.04, noise)) & ~ndimage.binary_dilation(wide, iterations=2), profile, 0)
        level = np.expand_dims(level, axis)
        ink = np.where((level > 0) & (ink < level + max(0.12, 5 * noise)), np.minimum(ink - level, 0), ink)
    return ink
