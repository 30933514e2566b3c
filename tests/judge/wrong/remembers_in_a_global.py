"""It remembers what it was asked before."""

from torch import nn

ASKED = []


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        ASKED.append(len(x))
        return len(ASKED) * self.last(self.first(x).relu().mean((2, 3)))
