"""Pooling, batch norm and dropout as functions."""

import torch
import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("variance", torch.ones(8))

    def forward(self, x):
        x = F.batch_norm(self.first(x), self.mean, self.variance, training=self.training)
        x = F.dropout(F.max_pool2d(x.relu(), 2), 0.1, self.training)
        return self.last(F.avg_pool2d(x, x.shape[-1]).flatten(1))
