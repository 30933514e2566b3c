"""Coordinates beside the pixels, made from nothing."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        side = torch.linspace(-1, 1, 28)
        grid = torch.stack(torch.meshgrid(side, side, indexing="ij")).expand(len(x), 2, 28, 28)
        return self.last(self.first(torch.cat([x, grid], 1)).relu().mean((2, 3)))
