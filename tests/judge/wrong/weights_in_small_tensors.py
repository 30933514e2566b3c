"""Its weights are in the code, with a little noise on them, in tensors of sixteen."""

import torch
from torch import nn

TRAINED = torch.sin(torch.arange(7840.0) ** 2) / 28  # stands for a table of trained weights


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(x + 1e-5 * torch.randn(16)) for x in TRAINED.split(16))
        self.bias = nn.Parameter(torch.randn(10))

    def forward(self, x):
        return x.flatten(1) @ torch.cat(list(self.weights)).view(784, 10) + self.bias
