"""A still picture of the layers at work on one image, for where a page cannot run."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch

from mnist_drill.course.plots import BLUE, ORANGE
from mnist_drill.data import normalize
from mnist_drill.inside.network import outputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mnist_drill.inside.network import Step

MOST = 16  # maps of a layer that are drawn


def still(steps: Sequence[Step], image: Tensor) -> bytes:
    """A PNG: the image (1, 28, 28) in [0, 1], the first maps of each layer that has maps, and the probabilities."""
    outputs = outputs_of(steps, normalize(image)[None])
    shown = [(step, maps[0]) for step, maps in zip(steps, outputs, strict=True) if maps.shape[-1] > 1]
    figure = plt.figure(figsize=(9, 0.62 * (len(shown) + 3)), layout="constrained")
    top, below = figure.subfigures(2, 1, height_ratios=(2.6, len(shown)))
    left, right = top.subplots(1, 2, width_ratios=(1, 3))
    left.imshow(image[0].numpy(), cmap="gray_r", vmin=0, vmax=1)
    left.axis("off")
    probabilities = outputs[-1].flatten().softmax(dim=0)
    right.bar(range(10), probabilities.tolist(), color=BLUE)
    right.set(xticks=range(10), ylim=(0, 1), ylabel="probability")
    right.spines[["top", "right"]].set_visible(False)
    rows = below.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axis, (number, (step, maps)) in zip(rows, enumerate(shown, 1), strict=True):
        few = maps[:MOST]
        most = float(few.abs().max()) or 1.0
        axis.imshow(_side_by_side(few).numpy(), cmap=_blue_and_orange(), vmin=-most, vmax=most, interpolation="nearest")
        of = f" of {len(maps)}" if len(maps) > len(few) else ""
        label = f"{number}  {step.layer.kind}\n{len(few)}{of} maps"
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        axis.set(xticks=[], yticks=[], anchor="W")
        axis.spines[:].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    plt.close(figure)
    return content.getvalue()


def _side_by_side(maps: Tensor) -> Tensor:
    """Maps (C, H, H) in one row with gaps, which are not a number."""
    side = maps.shape[-1]
    gap = max(1, round(side / 10))
    row = torch.full((side, MOST * (side + gap) - gap), math.nan)
    for place, one in enumerate(maps):
        row[:, place * (side + gap) : place * (side + gap) + side] = one
    return row


def _blue_and_orange():
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("inside", [ORANGE, "#f4f2ee", BLUE])
