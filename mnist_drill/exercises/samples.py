"""The few images and the small trainings that checks show an effect with."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from mnist_drill import data
from mnist_drill.exercises.feedback import Wrong, ask, kind, run
from mnist_drill.networks import conv_block, seeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from mnist_drill.data import LabeledImages


@cache
def mnist() -> tuple[LabeledImages, LabeledImages]:
    """The training set and the test set, read once."""
    return data.load()


def ten_images() -> tuple[Tensor, Tensor]:
    """A normalized training image of each class, (10, 1, 28, 28), and their labels."""
    train_set, _ = mnist()
    first = torch.stack([(train_set.labels == label).nonzero()[0, 0] for label in range(10)])
    return data.normalize(train_set.images[first]), train_set.labels[first]


def small_network(norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """A network that trains in a moment: four convolutions, logits of shape (N, 10)."""
    block = {"norm": norm, "dropout": dropout, "pool": True}
    return torch.nn.Sequential(
        conv_block(1, 8, **block),
        conv_block(8, 16, **block),
        torch.nn.Conv2d(16, 10, 5, bias=False),
        torch.nn.Flatten(),
    )


def in_batches(dataset: LabeledImages, size: int = 64) -> list[tuple[Tensor, Tensor]]:
    """Normalized images and their labels, batch by batch, in the order of the set."""
    return list(zip(data.normalize(dataset.images).split(size), dataset.labels.split(size), strict=True))


def train(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], learning_rate: float = 0.05) -> float:
    """Trains by SGD with momentum, a step for each batch; the last loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    loss = torch.tensor(torch.nan)
    model.train()
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def never_cleared(model: nn.Module, batches, optimizer: Optimizer, after_step=()) -> None:
    """An epoch as that of `train_epoch` without `zero_grad`: gradients add up."""
    model.train()
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        for hook in after_step:
            hook(loss)


def step_at_the_end(model: nn.Module, batches, optimizer: Optimizer) -> None:
    """An epoch with one step, after its last batch, by the gradient of that."""
    model.train()
    for images, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def weights_of(model: nn.Module) -> Tensor:
    """All parameters of a network in one row, whatever their layout in memory, without gradient."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@cache
def _trained(images: int, norm: bool, dropout: float) -> nn.Module:
    model = seeded(lambda: small_network(norm, dropout), 1)
    train(model, in_batches(mnist()[0][:images]))
    return model


def trained_network(images: int, norm: bool = False, dropout: float = 0.0) -> nn.Module:
    """A small network after an epoch on so many images, in training mode; trained once, and each time a copy."""
    return deepcopy(_trained(images, norm, dropout))


def network_of(function) -> nn.Module:
    """The network that the learner's function returns, once its output has shape (N, 10). Raises `Wrong` otherwise."""
    if isinstance(function, torch.nn.Module):
        raise Wrong("this is a network; the check takes the function that makes it, `def network(): return …`")
    model = ask(function)
    if not isinstance(model, torch.nn.Module):
        raise Wrong(f"the function must return a network; yours returns {kind(model)}")
    images, _ = ten_images()
    with torch.no_grad():
        logits = run(model.eval(), images[:2])
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, 10):
        shape = f"(N, {', '.join(map(str, logits.shape[1:]))})" if isinstance(logits, torch.Tensor) else kind(logits)
        raise Wrong(f"the network's output must have shape (N, 10); yours has {shape}")
    return model.train()
