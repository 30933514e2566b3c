"""The mean and the maximum of each channel side by side, where the course's networks take the mean alone."""

import torch
from torch import nn

from mnist_drill.recipes import Recipe, WarmupCosine


def block(c_in, c_out, kernel_size=3, stride=1, pool=False):
    """A convolution that keeps the size but for its stride, max pooling if asked for, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel_size, stride, padding=1, bias=False),
        nn.MaxPool2d(2) if pool else nn.Identity(),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
    )


class Network(nn.Module):
    """Takes images (N, 1, 28, 28), normalized; returns logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.edges = block(1, 16, kernel_size=4, stride=2)  # 14 × 14
        self.strokes = block(16, 18, pool=True)  # 7 × 7
        self.curves = block(18, 18)
        self.digits = block(18, 18)
        self.last = nn.Linear(2 * 18, 10)

    def forward(self, x):
        x = self.curves(self.strokes(self.edges(x)))
        x = x + self.digits(x)
        return self.last(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1))


recipe = Recipe(epochs=7, batch_size=128, learning_rate=0.1, schedule=WarmupCosine())
