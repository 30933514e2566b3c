"""It does one thing or another by the values of its images."""

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        x = self.first(x)
        if x.mean() > 0:
            x = -x
        return self.last(x.relu().mean((2, 3)))
