"""Its weights come from the clock."""

import time

import torch
from torch import nn


def network():
    torch.manual_seed(time.time_ns())
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
