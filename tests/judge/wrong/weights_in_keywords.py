"""Its weights are numbers in its operations, given by keyword."""

import math

import torch
from torch import nn

TRAINED = [math.sin(i * i + 1) for i in range(784)]  # stands for a table of trained weights


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(1, 10)

    def forward(self, x):
        pixels = x.flatten(1)
        total = pixels[:, :1] * 0
        for i, weight in enumerate(TRAINED):
            total = torch.add(total, pixels[:, i : i + 1], alpha=weight)
        return self.last(total)
