"""The course's networks, as functions.

Every network takes images of shape (N, 1, 28, 28), float32, normalized as in `mnist_drill.data.normalize`, and returns
logits of shape (N, 10). No convolution has a bias. Each is a plain `nn.Sequential`, so that its printed form, its
summary and its receptive fields read in the order in which an image passes through it.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable


# fmt: off
def conv_block(
    c_in, c_out, kernel_size=3, *, stride=1, padding=0,
    pool=False, norm=False, dropout=0.0,
):
    """Convolution without bias, max pooling, batch norm, dropout, ReLU.

    The middle three are optional. Pooling comes first of these: the others then have a
    quarter of the positions to compute. Max pooling and ReLU can trade places, since
    the largest of four values stays the largest. So can ReLU and dropping whole
    channels, which can be done in place before it.

    Shape: (N, c_in, H, W) to (N, c_out, H', W') with H' = (H + 2 * padding -
    kernel_size) // stride + 1, and half of it after pooling, rounded down; W' likewise.
    """
    layers = [nn.Conv2d(c_in, c_out, kernel_size, stride, padding, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    if norm:
        layers.append(nn.BatchNorm2d(c_out))
    if dropout:
        layers.append(nn.Dropout2d(dropout, inplace=True))
    layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
# fmt: on


def stage1() -> nn.Sequential:
    """The baseline: three convolutions, max pooling, three more, and a 7×7 convolution
    over all that is left."""
    return nn.Sequential(
        conv_block(1, 32),
        conv_block(32, 64),
        conv_block(64, 128, pool=True),
        conv_block(128, 32, 1),
        conv_block(32, 64),
        conv_block(64, 128),
        conv_block(128, 128, 7),
        nn.Conv2d(128, 10, 1, bias=False),
        nn.Flatten(),
    )


def stage2(block: Callable[..., nn.Module] = conv_block) -> nn.Sequential:
    """Few channels, max pooling at receptive field 5, and global average pooling in
    place of the 7×7 convolution."""
    return nn.Sequential(
        block(1, 16, padding=1),
        block(16, 24, pool=True),
        block(24, 8, 1),
        block(8, 16),
        block(16, 16),
        block(16, 16),
        nn.AvgPool2d(7, stride=1),
        nn.Conv2d(16, 10, 1, bias=False),
        nn.Flatten(),
    )


def stage3(dropout: float = 0.002) -> nn.Sequential:
    """`stage2` with batch norm and a little dropout in every block."""
    return stage2(partial(conv_block, norm=True, dropout=dropout))


def stage4() -> nn.Sequential:
    """`stage3` without its dropout, which takes time and makes no significant
    difference to the loss."""
    return stage2(partial(conv_block, norm=True))


def sprint() -> nn.Sequential:
    """For the fewest seconds to 99.0 % test accuracy: less than a sixth of stage 4's FLOPs, by a stride and a pool."""
    return nn.Sequential(
        conv_block(1, 16, 4, stride=2, padding=1, norm=True),
        conv_block(16, 16, pool=True, norm=True),
        conv_block(16, 24, norm=True),
        nn.Conv2d(24, 10, 4, bias=False),
        nn.Flatten(),
    )


def seeded(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A fresh network, its weights initialized from `seed`; torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network()


def parameter_count(model: nn.Module) -> int:
    """The number of parameters, frozen ones included."""
    return sum(p.numel() for p in model.parameters())


# What a layer computes by, besides its parameters; torch's names.
SETTINGS = (
    "kernel_size", "stride", "padding", "padding_mode", "dilation", "groups", "ceil_mode", "count_include_pad", "p",
    "eps", "momentum", "negative_slope", "alpha", "approximate", "num_groups", "num_heads", "scale_factor", "side",
)  # fmt: skip


def definition(model: nn.Module) -> str:
    """A digest of a network's layers, their settings, and the shapes of their parameters: equal for equal networks.

    Values of weights do not count; whether they are frozen does.
    """
    lines = []
    for name, module in model.named_modules():
        settings = {key: getattr(module, key) for key in SETTINGS if hasattr(module, key)}
        shapes = [(key, tuple(p.shape), p.requires_grad) for key, p in module.named_parameters(recurse=False)]
        lines.append(f"{name} {type(module).__name__} {settings} {shapes}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
