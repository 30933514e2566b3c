"""The figure of what was found in pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch

from mnist_drill.course.plots import ORANGE, show
from mnist_drill.inputs import pictures
from mnist_drill.inputs.paper import shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mnist_drill.inputs.reading import Reading

MOST = 100  # pictures in a figure: the first ones
COLUMNS = 5
LARGEST = 400  # pixels of a picture's longer side: a larger one is drawn smaller


def found_in(found: Sequence[tuple[Path, Sequence[Reading]]], path: Path) -> None:
    """The first pictures, from their files, a box around each digit in them, and below each what the network was given.

    A figure has at most `MOST`.
    """
    found = found[:MOST]
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = plt.figure(figsize=(2.6 * columns, 3.3 * rows))
    cells = figure.add_gridspec(rows, columns)
    for (file, readings), cell in zip(found, cells, strict=False):
        above, below = cell.subgridspec(2, 1, height_ratios=(4, 1)).subplots()
        picture = pictures.read(file)
        (height, width), block = picture.shape, math.ceil(max(picture.shape) / LARGEST)
        above.imshow(shrunk(picture.numpy(), block), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
        above.set_title(file.name, fontsize=8)
        for reading in readings:
            left, top, right, bottom = reading.box
            above.add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=ORANGE))
            above.text(left, top, reading.said or "?", color=ORANGE, fontsize=10, va="bottom")
        if readings:
            below.imshow(torch.cat([x.image[0] for x in readings], dim=1), cmap="gray_r", vmin=0, vmax=1)
        else:
            below.text(0.5, 0.5, "no digit found", fontsize=8, ha="center", va="center")
        for axis in (above, below):
            axis.axis("off")
    show(figure, path)
