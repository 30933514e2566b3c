"""Whether weights come from the seed: those of usual initializations do, whatever tensors they are in."""

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge.initialization import FEW, SHARE, _alike, _pairs
from mnist_drill.judge.jobs import recorded
from mnist_drill.networks import stage3


def few():
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )


def usual():
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 12), nn.BatchNorm1d(12), nn.PReLU(), nn.Linear(12, 10))
    nn.init.sparse_(network[1].weight, 0.9)
    nn.init.normal_(network[2].weight, 1, 0.02)
    nn.init.orthogonal_(network[4].weight)
    return network


def signs():
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network[1].weight.data.sign_()
    return network


@pytest.mark.parametrize("make", [few, usual, signs, stage3])
def test_usual_initializations_are_not_the_same_at_every_seed(images, make):
    for seed in range(5):
        programs = []
        for each in (seed, seed + 100):
            torch.manual_seed(each)
            programs.append(recorded(make(), normalize(images))[0])
        pairs = _pairs(*programs)
        assert sum(_alike(*pair) for pair in pairs) < SHARE * sum(len(ours) for ours, _ in pairs) + FEW


@pytest.mark.parametrize("size", [2, 16, 17, 1000])
def test_what_is_the_same_but_for_noise_is_alike_in_tensors_of_any_size(size):
    trained = torch.randn(100, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = 0.01 * torch.randn(2, 100, size, generator=torch.Generator().manual_seed(2))
    found = sum(_alike(x + a, x + b) for x, a, b in zip(trained, *noise, strict=True))
    unlike = sum(_alike(x, y) for x, y in zip(trained, trained.roll(1, 0), strict=True))
    assert found > 0.9 * trained.numel()
    assert unlike < 0.05 * trained.numel()
