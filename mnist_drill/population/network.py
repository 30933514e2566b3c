"""Many networks of one architecture as one: the channels of each are a group of its own.

A grouped convolution computes a group of output channels from the same group of input channels; batch norm, dropout,
pooling and activations keep channels apart anyway. So no member sees anything of another. The parameters of the members
lie one behind the other along their first dimension: each tensor has as many dimensions as that of a network alone, so
that a rule by dimensions, as for weight decay, selects the same ones.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from collections.abc import Sequence

WITH_WEIGHTS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
# Layers that keep channels apart.
UNCHANGED = (
    nn.Sequential, nn.Identity, nn.Flatten, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Dropout, nn.Dropout2d,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip


class Population(nn.Module):
    """Networks of one architecture as one network, which starts at their weights and shares none of them.

    Raises `DrillError` for a layer that it cannot join.
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.members = len(networks)
        self.joined = _joined(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, 10, members), of images (N, members, 28, 28), or (N, 1, 28, 28) for every member the same."""
        logits = self.joined(images.expand(-1, self.members, -1, -1))
        return logits.unflatten(1, (self.members, -1)).transpose(1, 2)

    def member_states(self) -> list[dict[str, Tensor]]:
        """A copy of the state of each member, as its network's own `load_state_dict` takes it."""
        parts = {
            key: value.clone().chunk(self.members) if value.dim() else [value.clone()] * self.members
            for key, value in self.joined.state_dict().items()
        }
        return [{key: part[member] for key, part in parts.items()} for member in range(self.members)]


class Linears(nn.Linear):
    """A linear layer for each member: features (N, members × in) to (N, members × out)."""

    def __init__(self, members: int, in_features: int, out_features: int, **options):
        super().__init__(in_features, members * out_features, **options)
        self.members = members

    def forward(self, features: Tensor) -> Tensor:
        features = features.unflatten(1, (self.members, self.in_features))
        weight = self.weight.unflatten(0, (self.members, -1))
        products = torch.einsum("nmi,moi->nmo", features, weight).flatten(1)
        return products if self.bias is None else products + self.bias


def _joined(networks: Sequence[nn.Module]) -> nn.Module:
    """The first network with the layers of all in place of its own."""
    replaced = {}
    for path, layer in networks[0].named_modules():
        plain_sequence = isinstance(layer, nn.Sequential) and type(layer).forward is nn.Sequential.forward
        if type(layer) not in (*WITH_WEIGHTS, *UNCHANGED) and not plain_sequence:
            raise DrillError(
                f"a population cannot train {type(layer).__name__} ({path or 'the network itself'}): build it of "
                f"{', '.join(kind.__name__ for kind in (*WITH_WEIGHTS, *UNCHANGED))}, or train its seeds one by one"
            )
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
            raise DrillError(f"a population cannot train {layer} ({path}): use nn.Flatten()")
        if type(layer) in WITH_WEIGHTS:
            replaced[id(layer)] = _joined_layer([network.get_submodule(path) for network in networks])
    return deepcopy(networks[0], replaced)  # which takes what is in its memo in place of a copy


def _joined_layer(layers: Sequence[nn.Module]) -> nn.Module:
    """A convolution, batch norm or linear layer with the weights of all."""
    first, members = layers[0], len(layers)
    options = {"device": "meta"}  # no weights are initialized, so that no random numbers are drawn
    if isinstance(first, nn.Conv2d):
        joined = nn.Conv2d(
            members * first.in_channels, members * first.out_channels, first.kernel_size, first.stride, first.padding,
            first.dilation, members * first.groups, first.bias is not None, first.padding_mode, **options,
        )  # fmt: skip
    elif isinstance(first, nn.BatchNorm2d):
        joined = nn.BatchNorm2d(
            members * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats, **options
        )
    else:
        joined = Linears(members, first.in_features, first.out_features, bias=first.bias is not None, **options)
    states = [layer.state_dict() for layer in layers]
    joined.load_state_dict(
        {
            key: torch.cat([state[key] for state in states]) if value.dim() else value.clone()
            for key, value in states[0].items()
        },
        assign=True,
    )
    for parameter, of_first in zip(joined.parameters(), first.parameters(), strict=True):
        parameter.requires_grad_(of_first.requires_grad)
    return joined
