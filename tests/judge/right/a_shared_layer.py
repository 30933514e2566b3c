"""One layer, used three times, whose weights count once."""

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, stride=2)
        self.again = nn.Conv2d(16, 16, 3, padding=1)
        self.last = nn.Linear(16, 10)

    def forward(self, x):
        x = self.first(x).relu()
        for _ in range(3):
            x = self.again(x).relu()
        return self.last(x.mean((2, 3)))
