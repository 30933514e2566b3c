"""It imports what is not installed."""

import a_module_that_nobody_has as layers
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = layers.Linear(8, 10)

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))
