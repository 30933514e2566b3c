"""Its weights are in the code, with a little noise on them."""

import torch
from torch import nn


def network():
    made = nn.Linear(784, 10)
    trained = torch.sin(torch.arange(7840.0) ** 2).view(10, 784)  # stands for a table of trained weights
    with torch.no_grad():
        made.weight.copy_(trained / 28 + 0.001 * torch.randn(10, 784))
    return nn.Sequential(nn.Flatten(), made)
