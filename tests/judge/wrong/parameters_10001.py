"""It has 10,001 parameters."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(784, 12, bias=False)
        self.last = nn.Linear(12, 10)
        self.more = nn.Parameter(torch.randn(463))

    def forward(self, x):
        return self.last(self.first(x.flatten(1)).relu()) + self.more.sum()
