"""Its batch norm takes the statistics of the batch in evaluation mode."""

import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        x = F.batch_norm(self.first(x), None, None, training=True)
        return self.last(x.relu().mean((2, 3)))
