"""Where the digits of a picture are: connected pieces of ink, those of one digit together, from left to right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from mnist_drill.inputs.pictures import NoDigit

SURE, FAINT = 0.5, 0.2  # of the full ink: a piece has some of the first; what is below the second is no part of it
SMALLEST = 5  # pixels of its longer side: what is smaller is a speck
MOST = 500  # pieces of ink that are worth looking at
EIGHT = np.ones((3, 3), bool)  # a pixel's neighbours


@dataclass(frozen=True)
class Piece:
    """Ink that belongs together: its box as slices (rows, columns) and its ink in that box, shape (H, W) in [0, 1]."""

    box: tuple[slice, slice]
    ink: np.ndarray

    @property
    def height(self) -> int:
        return self.box[0].stop - self.box[0].start

    @property
    def width(self) -> int:
        return self.box[1].stop - self.box[1].start


def pieces(ink: np.ndarray) -> list[Piece]:
    """The digits in ink of shape (H, W), or what may be some, in the order of reading. Raises `NoDigit` for none."""
    labels, count = ndimage.label(ndimage.binary_propagation(ink > SURE, EIGHT, ink > FAINT), EIGHT)
    boxes = dict(enumerate(ndimage.find_objects(labels), 1))
    at_border = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist()) - {0}
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    inside = [label for label in boxes if label not in at_border]
    # A digit may touch the border where nothing else is there, but none lies along a side.
    kept = inside
    if not any(areas[x] > 12 for x in inside):
        sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
        kept = [x for x in boxes if all((side == x).mean() < 0.5 for side in sides)]
    sizes = {x: max(side.stop - side.start for side in boxes[x]) for x in kept}
    least = max(SMALLEST, 0.1 * max(sizes.values(), default=0))
    kept = [x for x in kept if sizes[x] >= least]
    if not kept:
        raise NoDigit("there is no ink but along its border")
    if len(kept) > MOST:
        raise NoDigit(f"it has {len(kept)} pieces of ink")
    found = []
    group_of = grouped([boxes[x] for x in kept])
    for group in range(group_of.max() + 1):
        members = [x for x, its in zip(kept, group_of, strict=True) if its == group]
        box = _union([boxes[x] for x in members])
        near = ndimage.binary_dilation(np.isin(labels[box], members), EIGHT)
        found.append(Piece(box, np.where(near, ink[box], 0)))
    return in_order(found)


def grouped(boxes: list[tuple[slice, slice]]) -> np.ndarray:
    """The number of the digit that each box belongs to: boxes that nearly touch, or of which one lies above the other.

    Gaps are in terms of the larger one's longer side.
    """
    starts, stops = (np.array([[getattr(side, end) for side in box] for box in boxes]) for end in ("start", "stop"))
    lengths = stops - starts
    gaps = np.maximum(starts[:, None], starts) - np.minimum(stops[:, None], stops)
    longer = np.maximum(lengths.max(axis=1)[:, None], lengths.max(axis=1))
    narrower = np.minimum(lengths[:, None, 1], lengths[:, 1])
    touching = gaps.max(axis=2) <= 0.08 * longer
    above = (-gaps[..., 1] >= 0.4 * narrower) & (gaps[..., 0] <= 0.2 * longer)
    return connected_components(touching | above, directed=False)[1]


def in_order(found: list[Piece]) -> list[Piece]:
    """From left to right; where there are several lines of them, line by line."""
    lines: list[list[Piece]] = []
    for piece in sorted(found, key=lambda x: x.box[0].start + x.box[0].stop):
        middle = (piece.box[0].start + piece.box[0].stop) / 2
        for line in lines:
            if any(x.box[0].start <= middle < x.box[0].stop for x in line):
                line.append(piece)
                break
        else:
            lines.append([piece])
    return [piece for line in lines for piece in sorted(line, key=lambda x: x.box[1].start)]


def _union(boxes: list[tuple[slice, slice]]) -> tuple[slice, slice]:
    return tuple(slice(min(b[i].start for b in boxes), max(b[i].stop for b in boxes)) for i in (0, 1))
