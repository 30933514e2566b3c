"""Its weights are in the code, beside a few random ones that a view shows many times."""

import torch
from torch import nn

TRAINED = torch.sin(torch.arange(7840.0) ** 2) / 28  # stands for a table of trained weights


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(TRAINED.clone())
        self.seen_often = torch.randn(10).expand(10_000, 10)
        self.bias = nn.Parameter(torch.randn(10))

    def forward(self, x):
        return x.flatten(1) @ self.weights.view(784, 10) + self.bias + 0 * self.seen_often.sum()
