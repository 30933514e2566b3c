"""A layer and its transpose."""

import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.there = nn.Linear(784, 10, bias=False)
        self.last = nn.Linear(10, 10)

    def forward(self, x):
        x = x.flatten(1)
        hidden = self.there(x).relu()
        back = F.linear(hidden, self.there.weight.t())
        return self.last(self.there(x - back))
