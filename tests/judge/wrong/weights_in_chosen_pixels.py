"""It compares thousands of pairs of pixels, which are in the code."""

import math

import torch
from torch import nn

# Stands for pairs that were selected by training.
PAIRS = [(int(392 + 391 * math.sin(i * i)), int(392 + 391 * math.cos(3 * i * i))) for i in range(2500)]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(784, 10), nn.Linear(250, 10)

    def forward(self, x):
        pixels = x.flatten(1).unbind(1)
        compared = torch.stack([pixels[a] - pixels[b] for a, b in PAIRS], 1).relu()
        return self.first(x.flatten(1)) + self.last(compared.view(len(x), 250, 10).sum(2))
