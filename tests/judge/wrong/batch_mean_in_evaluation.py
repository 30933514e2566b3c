"""It subtracts the mean of the batch."""

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        x = self.first(x)
        return self.last((x - x.mean(0)).relu().mean((2, 3)))
