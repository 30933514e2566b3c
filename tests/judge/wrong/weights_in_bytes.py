"""Its weights are the bytes of a few large numbers."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(784, 10)

    def forward(self, x):
        weights = torch.full((98,), 0x0123456789ABCDEF).view(torch.int8)
        return self.last(x.flatten(1) * weights)
