"""MNIST's images as photographs of handwriting, and pages without a digit: what `predict` is judged on.

A sheet is light paper of `SIDE` pixels, brightness in [0, 1]; a digit is an MNIST image, resized smoothly, in ink of 20
to 30 % brightness. A kind adds one disturbance. All that is random follows from the number of the picture.
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SIDE = 400
PAPER, INK = (0.88, 1.0), (0.2, 0.3)


def enlarged(digit: Tensor, field: int) -> np.ndarray:
    """An image of shape (28, 28) as coverage with ink, shape (field, field) in [0, 1]."""
    return F.interpolate(digit[None, None], (field, field), mode="bicubic", antialias=True)[0, 0].clamp(0, 1).numpy()


def field_for(digit: Tensor, size: float) -> int:
    """How large the image has to be for the longer side of its digit to be `size` pixels."""
    inked = digit > 0.2
    longer = max(int(np.ptp(inked.any(dim=axis).nonzero().numpy())) + 1 for axis in (0, 1))
    return round(28 * size / longer)


def sheet_with(coverage: np.ndarray, draw: np.random.Generator, margin: int) -> np.ndarray:
    """Coverage of shape (SIDE, SIDE), that of a digit at a random place, so far from the border."""
    sheet = np.zeros((SIDE, SIDE), np.float32)
    rows, columns = (np.nonzero((coverage > 0.1).any(axis=1 - axis))[0] for axis in (0, 1))
    coverage = coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = coverage.shape
    top, left = (draw.integers(margin, SIDE - side - margin + 1) for side in (height, width))
    sheet[top : top + height, left : left + width] = coverage
    return sheet


def inked(paper: np.ndarray, coverage: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Paper where nothing covers it, and else ink."""
    return paper * (1 - coverage) + draw.uniform(*INK) * coverage


def falling_light(picture: np.ndarray, draw: np.random.Generator, by: float) -> np.ndarray:
    """Light that falls off across the picture, in any direction, from 1 to 1 - `by`."""
    angle = draw.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    along = rows * np.sin(angle) + columns * np.cos(angle)
    return picture * (1 - by * (along - along.min()) / np.ptp(along))


def shadow(picture: np.ndarray, draw: np.random.Generator, down_to: float) -> np.ndarray:
    """A shadow with a soft edge: of something straight or something round, whose edge passes near the middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = draw.uniform(0.3 * SIDE, 0.7 * SIDE, 2)
    angle, softness = draw.uniform(0, 2 * np.pi), draw.uniform(10, 40)
    if draw.random() < 0.5:
        inside = (rows - row) * np.sin(angle) + (columns - column) * np.cos(angle)
    else:
        radius = draw.uniform(0.2, 0.5) * SIDE
        row, column = row + radius * np.sin(angle), column + radius * np.cos(angle)
        inside = radius - np.hypot(rows - row, columns - column)
    return picture * (1 - (1 - down_to) / (1 + np.exp(-inside / softness * 2)))


def noise(picture: np.ndarray, draw: np.random.Generator, sigma: float) -> np.ndarray:
    """A sensor's noise, independent in each pixel."""
    return picture + draw.normal(0, sigma, picture.shape)


def lines(paper: np.ndarray, draw: np.random.Generator, axes: tuple[int, ...], every: int = 40, width: int = 2,
          brightness: float = 0.6) -> np.ndarray:  # fmt: skip
    """Paper with printed lines along those axes: 0 is across, 1 is down."""
    paper = paper.copy()
    for axis in axes:
        places = (np.arange(SIDE) + draw.integers(every)) % every < width
        paper[(places, slice(None)) if axis == 0 else (slice(None), places)] = brightness
    return paper


def dark_edge(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A dark table on one side, in a strip of 8 to 40 pixels, whose edge is not quite straight along the picture's."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    width, slope = draw.uniform(8, 40), draw.uniform(-0.02, 0.02)
    table = np.clip(width + slope * (columns - SIDE / 2) - rows, 0, 1)
    table = np.rot90(table, draw.integers(4))
    return picture * (1 - table) + draw.uniform(0.05, 0.3) * table


def thinned(coverage: np.ndarray, pen: float) -> np.ndarray:
    """The same digit, written by a pen of that many pixels: the centre lines of its strokes, drawn again."""
    around = ndimage.distance_transform_edt(~skeleton(coverage > 0.5))
    return np.clip(pen / 2 + 0.5 - around, 0, 1).astype(np.float32)


def skeleton(shape: np.ndarray) -> np.ndarray:
    """The centre lines of a shape (Zhang, Suen, "A Fast Parallel Algorithm for Thinning Digital Patterns", 1984)."""
    shape = np.pad(shape, 1)
    while True:
        before = shape.sum()
        for first in (True, False):
            p = [np.roll(shape, move, (0, 1)) for move in
                 ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]  # fmt: skip
            neighbours = sum(x.astype(int) for x in p)
            turns = sum((~a & b).astype(int) for a, b in zip(p, [*p[1:], p[0]], strict=True))
            north, east, south, west = p[0], p[2], p[4], p[6]
            kept = (north & east & south) | (east & south & west) if first else (
                (north & east & west) | (north & south & west))  # fmt: skip
            shape = shape & ~((neighbours >= 2) & (neighbours <= 6) & (turns == 1) & ~kept)
        if shape.sum() == before:
            return shape[1:-1, 1:-1]


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(grey(picture)).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content), np.float32) / 255


def grey(picture: np.ndarray) -> np.ndarray:
    """Grey values from 0 to 255, uint8."""
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def plain(digit: Tensor, draw: np.random.Generator, on_paper=None, afterwards=None, size=None, pen=None, angle=0.0,
          margin=12) -> np.ndarray:  # fmt: skip
    """A sheet with a digit of `size` pixels, or else of a quarter to six tenths of the side."""
    coverage = enlarged(digit, field_for(digit, size or draw.uniform(0.25, 0.6) * SIDE))
    if angle:
        coverage = np.clip(ndimage.rotate(coverage, draw.uniform(-angle, angle), order=1), 0, 1)
    if pen:
        coverage = thinned(coverage, pen)
    paper = np.full((SIDE, SIDE), draw.uniform(*PAPER), np.float32)
    if on_paper:
        paper = on_paper(paper, draw)
    picture = inked(paper, sheet_with(coverage, draw, margin), draw)
    return picture if afterwards is None else afterwards(picture, draw)


def row_of(digits: Tensor, draw: np.random.Generator) -> np.ndarray:
    """Digits of shape (N, 28, 28) from left to right, of about the same size, each a little up or down."""
    paper = np.full((SIDE, SIDE), draw.uniform(*PAPER), np.float32)
    coverage = np.zeros_like(paper)
    step = SIDE / len(digits)
    middle = draw.uniform(0.2, 0.8) * SIDE
    for number, digit in enumerate(digits):
        field = round(step * draw.uniform(0.9, 1.0))
        top, left = round(middle + draw.uniform(-8, 8) - field / 2), round((number + 0.5) * step - field / 2)
        coverage[top : top + field, left : left + field] = enlarged(digit, field)
    return inked(paper, coverage, draw)


# The kinds of photographs of one digit.
KINDS: dict[str, Callable[[Tensor, np.random.Generator], np.ndarray]] = {
    "plain": plain,
    "plain, light on dark": partial(plain, afterwards=lambda picture, draw: 1 - picture),
    "light falling off by 30 %": partial(plain, afterwards=partial(falling_light, by=0.3)),
    "light falling off by 60 %": partial(plain, afterwards=partial(falling_light, by=0.6)),
    "soft shadow down to 55 %": partial(plain, afterwards=partial(shadow, down_to=0.55)),
    "noise of σ 0.08": partial(plain, afterwards=partial(noise, sigma=0.08)),
    "ruled paper": partial(plain, on_paper=partial(lines, axes=(0,))),
    "squared paper": partial(plain, on_paper=partial(lines, axes=(0, 1))),
    "dark edge on one side": partial(plain, afterwards=dark_edge, margin=55),
    "thin pen": partial(plain, pen=3),
    "digit of 12 % of the side": partial(plain, size=0.12 * SIDE),
    "rotation by ±10°, blur of σ 1.5": partial(
        plain, angle=10, afterwards=lambda picture, draw: ndimage.gaussian_filter(picture, 1.5)
    ),
    "JPEG at quality 40": partial(plain, afterwards=lambda picture, draw: as_jpeg(picture, 40)),
}


def strokes(draw: np.random.Generator) -> list[np.ndarray]:
    """Straight and bent strokes anywhere."""
    return [_curve(draw.uniform(20, 380, (draw.integers(2, 5), 2))) for _ in range(draw.integers(3, 9))]


def zigzag(draw: np.random.Generator) -> list[np.ndarray]:
    turns = draw.integers(5, 14)
    (left, right), (top, bottom) = (np.sort(draw.uniform([20, 240], [160, 380])) for _ in range(2))
    line = np.stack([np.linspace(left, right, turns), np.where(np.arange(turns) % 2, top, bottom)], axis=1)
    line += draw.normal(0, 8, line.shape)
    return [line if draw.random() < 0.5 else line[:, ::-1]]


def loops(draw: np.random.Generator) -> list[np.ndarray]:
    """Lines of loops that look like writing: each word a curve that turns while it moves to the right."""
    words = []
    for row in range(draw.integers(1, 5)):
        left = draw.uniform(20, 60)
        while left < 300:
            turns = draw.integers(2, 7)
            t = np.linspace(0, 2 * np.pi * turns, 24 * turns)
            height = draw.uniform(9, 22) * (1 + 0.5 * np.sin(t / draw.uniform(1.5, 4)))
            x = left + t * draw.uniform(2, 3.5) + height * 0.7 * np.cos(t)
            y = 60 + 85 * row + height * np.sin(t)
            words.append(np.stack([x, y], axis=1))
            left = x.max() + draw.uniform(15, 40)
    return words


def cross(draw: np.random.Generator) -> list[np.ndarray]:
    corners = np.array([[30, 30], [370, 370], [30, 370], [370, 30]]) + draw.normal(0, 12, (4, 2))
    return [_curve(corners[:2]), _curve(corners[2:])]


def scrawl(draw: np.random.Generator) -> list[np.ndarray]:
    """One line that wanders over the sheet."""
    return [_curve(draw.uniform(30, 370, (draw.integers(8, 20), 2)))]


def _curve(points: np.ndarray) -> np.ndarray:
    """A smooth line through the points."""
    t = np.linspace(0, len(points) - 1, 20 * len(points))
    return np.stack([ndimage.map_coordinates(axis, [t], order=min(3, len(points) - 1), mode="nearest")
                     for axis in points.T], axis=1)  # fmt: skip


def drawn(lines_of: list[np.ndarray], pen: float) -> np.ndarray:
    """Lines as coverage with ink."""
    sheet = Image.new("L", (2 * SIDE, 2 * SIDE))
    brush = ImageDraw.Draw(sheet)
    for line in lines_of:
        points = [(2 * x, 2 * y) for x, y in line]
        brush.line(points, fill=255, width=round(2 * pen), joint="curve")
    return np.asarray(sheet.resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float32) / 255


def blobs(draw: np.random.Generator) -> np.ndarray:
    """Spilled ink: one to four filled shapes without holes."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    covered = np.zeros((SIDE, SIDE))
    for _ in range(draw.integers(1, 5)):
        row, column = draw.uniform(90, 310, 2)
        angle = np.arctan2(rows - row, columns - column)
        radius = draw.uniform(20, 60)
        edge = radius * (1 + sum(draw.uniform(0, 0.35) / k * np.cos(k * angle + draw.uniform(0, 7)) for k in (2, 3, 5)))
        covered = np.maximum(covered, np.clip(edge - np.hypot(rows - row, columns - column), 0, 1))
    return covered.astype(np.float32)


SCRIBBLES = {
    "strokes": lambda draw: drawn(strokes(draw), draw.uniform(3, 14)),
    "zigzag": lambda draw: drawn(zigzag(draw), draw.uniform(3, 14)),
    "blobs": blobs,
    "loops like writing": lambda draw: drawn(loops(draw), draw.uniform(2.5, 5)),
    "cross": lambda draw: drawn(cross(draw), draw.uniform(3, 20)),
    "scrawl": lambda draw: drawn(scrawl(draw), draw.uniform(3, 14)),
}
# What pages without a digit look like apart from what is drawn on them.
PAGES = ("plain", "light falling off by 30 %", "light falling off by 60 %", "soft shadow down to 55 %",
         "noise of σ 0.08", "ruled paper", "squared paper", "dark edge on one side", "JPEG at quality 40")  # fmt: skip


def page(number: int, scribble: str | None) -> np.ndarray:
    """A page without a digit: with a scribble or empty, the paper disturbed in each way in turn."""
    draw = np.random.default_rng([number, 2])
    options = getattr(KINDS[PAGES[number % len(PAGES)]], "keywords", {})
    on_paper, afterwards = options.get("on_paper"), options.get("afterwards")
    paper = np.full((SIDE, SIDE), draw.uniform(*PAPER), np.float32)
    if on_paper:
        paper = on_paper(paper, draw)
    picture = paper if scribble is None else inked(paper, SCRIBBLES[scribble](draw), draw)
    return picture if afterwards is None else afterwards(picture, draw)


def photograph(digit: Tensor, kind: str, number: int) -> np.ndarray:
    """Grey values of shape (SIDE, SIDE), uint8, of an image of shape (28, 28)."""
    return grey(KINDS[kind](digit, np.random.default_rng([number, 1])))
