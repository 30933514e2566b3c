"""Digits as they are drawn: strokes of a round pen, thin and thick, small and large, anywhere on a square."""

import numpy as np
from PIL import Image, ImageDraw

SIDE = 280
# Two or three corners each, between 0 and 1: a 7, a 1, a 4, an L, a zigzag.
LINES = (
    [[(0.1, 0.1), (0.9, 0.1), (0.4, 0.95)]],
    [[(0.5, 0.0), (0.45, 1.0)]],
    [[(0.2, 0.05), (0.1, 0.6), (0.9, 0.6)], [(0.7, 0.2), (0.65, 1.0)]],
    [[(0.0, 0.0), (0.02, 1.0), (0.7, 1.0)]],
    [[(0.0, 0.1), (1.0, 0.1), (0.0, 0.9), (1.0, 0.9)]],
)


def strokes(count=20):
    """That many drawings, ink between 0 and 1, float32 of shape (280, 280)."""
    draw = np.random.default_rng(1)
    for number in range(count):
        size = draw.uniform(0.12, 0.85) * SIDE
        left, top = draw.uniform(0, SIDE - size, 2)
        width = int(draw.integers(4, 40))
        image = Image.new("L", (SIDE * 2, SIDE * 2))
        pen = ImageDraw.Draw(image)
        for line in LINES[number % len(LINES)]:
            points = [(2 * (left + size * x), 2 * (top + size * y)) for x, y in line]
            pen.line(points, fill=255, width=width, joint="curve")
            for x, y in points:
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
        yield np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255
