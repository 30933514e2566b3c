"""Networks by name: the course's, and torchvision's adapted to MNIST."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from mnist_drill.errors import unknown
from mnist_drill.networks import seeded
from mnist_drill.recipes import ADAPTED, Recipe
from mnist_drill.stages import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def check_name(name: str) -> None:
    """Raises `DrillError` unless `name` is one of `NETWORKS` or of torchvision's classification networks."""
    if name in NETWORKS:
        return
    from mnist_drill.zoo.adapted import NAMES  # here, so that the course's own networks do without it

    if name not in NAMES:
        choices = f"{', '.join(NETWORKS)} or of those that `models` lists"
        raise unknown("network", name, [*NETWORKS, *NAMES], choices)


def build(name: str, seed: int | None = None, **changes) -> nn.Module:
    """A fresh network by name, one of `NETWORKS` or of torchvision's; `changes` are given to its function.

    With a `seed` its weights are initialized from that seed; see `networks.seeded`. Raises `DrillError` for an unknown
    name.
    """
    network = partial(function_of(name), **changes)
    return network() if seed is None else seeded(network, seed)


def function_of(name: str) -> Callable[..., nn.Module]:
    """What makes a fresh network of that name, given its changes. Raises `DrillError` for an unknown name."""
    check_name(name)
    if name in NETWORKS:
        return NETWORKS[name].network
    from mnist_drill.zoo.adapted import adapted

    return partial(adapted, name)


def recipe_for(name: str) -> Recipe:
    """The recipe of a network of the course by name; `ADAPTED` for any other."""
    return NETWORKS[name].recipe if name in NETWORKS else ADAPTED


def build_without_values(name: str, **changes) -> nn.Module:
    """As `build` without a seed, in no time: its weights have no values until `load_state_dict(…, assign=True)`."""
    if name in NETWORKS:
        with torch.device("meta"):
            return build(name, **changes)
    from mnist_drill.zoo.adapted import without_values

    with without_values(name):
        return build(name, **changes)
