"""It does not say which of its networks is meant."""

from torch import nn


def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def narrow():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))
