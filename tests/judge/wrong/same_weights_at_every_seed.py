"""It seeds torch itself."""

import torch
from torch import nn


def network():
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
