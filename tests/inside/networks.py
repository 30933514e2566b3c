"""Networks to be shown that are harder than the course's."""

import torch
from torch import nn

from mnist_drill.networks import seeded


def exercise():
    """What exercises may bring: groups, dilation, a stride, biases, padded pools, an average pool before the ReLU."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2, padding=2), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=3), nn.MaxPool2d(3, 2, 1), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 8, 1), nn.AvgPool2d(2), nn.BatchNorm2d(8, affine=False), nn.ReLU(),
        nn.Conv2d(8, 10, 3), nn.Flatten(),
    )  # fmt: skip


def shaken(network):
    """A network whose batch norm has statistics and weights as after a training, some of the weights negative."""
    model = seeded(network, 1)
    draw = torch.Generator().manual_seed(2)
    for norm in (x for x in model.modules() if isinstance(x, nn.BatchNorm2d)):
        for values, low, high in (
            (norm.weight, -1.5, 1.5), (norm.bias, -0.5, 0.5), (norm.running_mean, -0.5, 0.5),
            (norm.running_var, 0.3, 2.0),
        ):  # fmt: skip
            if values is not None:
                with torch.no_grad():
                    values.copy_(low + (high - low) * torch.rand(len(values), generator=draw))
    return model
