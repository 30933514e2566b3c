"""Its weights are in the code, rounded so that there are sixteen different ones."""

import torch
from torch import nn


def network():
    made = nn.Linear(784, 10)
    trained = torch.sin(torch.arange(7840.0) ** 2).view(10, 784)  # stands for a table of trained weights
    with torch.no_grad():
        made.weight.copy_((trained * 7.5).round() / 210)
    return nn.Sequential(nn.Flatten(), made)
