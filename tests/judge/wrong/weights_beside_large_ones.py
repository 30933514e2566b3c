"""Its weights are in the code, in one tensor with a few that are large and random."""

import torch
from torch import nn

TRAINED = torch.sin(torch.arange(7840.0) ** 2) / 28  # stands for a table of trained weights


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.cat([TRAINED, 1000 * torch.randn(16)]))
        self.bias = nn.Parameter(torch.randn(10))

    def forward(self, x):
        return x.flatten(1) @ self.weights[:7840].view(784, 10) + self.bias
