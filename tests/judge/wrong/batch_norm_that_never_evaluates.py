"""Its batch norm stays in training mode."""

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        self.norm.train()
        return self.last(self.norm(self.first(x)).relu().mean((2, 3)))
