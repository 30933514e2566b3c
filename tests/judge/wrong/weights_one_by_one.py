"""Its weights are in the code, and each is a tensor of its own."""

import torch
from torch import nn

TRAINED = torch.sin(torch.arange(490.0) ** 2) / 28  # stands for a table of trained weights


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(weight.clone()) for weight in TRAINED)
        self.bias = nn.Parameter(torch.randn(10))

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 4).flatten(1) @ torch.stack(list(self.weights)).view(49, 10) + self.bias
