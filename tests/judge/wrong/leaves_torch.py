"""It computes with numpy."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        pixels = x.numpy().mean((1, 2, 3))
        return torch.from_numpy(pixels).unsqueeze(1) * self.last.bias
