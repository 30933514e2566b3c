"""The stage networks.

Every network takes digits of shape (N, 1, 28, 28), float32, normalised as in `mnist_drill.data.normalize`, and returns
logits of shape (N, 10). No convolution has a bias. Each is a plain `nn.Sequential`, so that its printed form, its
summary and its receptive fields read in the order in which a digit passes through it.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

import torch
from torch import nn

from mnist_drill import adapted
from mnist_drill.errors import DrillError


def conv_block(c_in, c_out, kernel_size=3, *, stride=1, padding=0, pool=False, norm=False, dropout=0.0):
    """Convolution without bias, a max pool (if `pool`), batch norm (if `norm`), dropout (if not 0), ReLU.

    The pool comes first, because what follows then has a quarter of the positions to work on. For ReLU it is all the
    same: the largest of four values stays the largest. Nor does ReLU mind that whole channels were dropped before it,
    where dropout can work in place.

    Shape: (N, c_in, H, W) to (N, c_out, H', W') with H' = (H + 2 * padding - kernel_size) // stride + 1, and half of it
    after a pool, rounded down; W' likewise.
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


def stage1() -> nn.Sequential:
    """The skeleton: three convolutions, a pool, three more, and a 7×7 convolution that sees the whole image."""
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


def stage2(norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Few channels, the pool at receptive field 5, and global average pooling where the 7×7 convolution was."""
    block = partial(conv_block, norm=norm, dropout=dropout)
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
    return stage2(norm=True, dropout=dropout)


def stage4() -> nn.Sequential:
    """`stage3` as it is: what changes in stage 4 is the recipe."""
    return stage3()


def sprint() -> nn.Sequential:
    """For the fewest seconds to 99.0 %: a stride and a pool leave less than a sixth of stage 4's multiplications."""
    return nn.Sequential(
        conv_block(1, 16, 4, stride=2, padding=1, norm=True),
        conv_block(16, 16, pool=True, norm=True),
        conv_block(16, 24, norm=True),
        nn.Conv2d(24, 10, 4, bias=False),
        nn.Flatten(),
    )


STAGES = {network.__name__: network for network in (stage1, stage2, stage3, stage4)}
NETWORKS = STAGES | {"sprint": sprint}


def check_name(name: str) -> None:
    """Raises `DrillError` unless `name` is one of `NETWORKS` or of torchvision's classification networks."""
    if name not in NETWORKS and name not in adapted.NAMES:
        close = get_close_matches(name, [*NETWORKS, *adapted.NAMES], 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DrillError(
            f"unknown network {name!r}: {hint}Choose one of {', '.join(NETWORKS)} or of those that `models` lists"
        )


def build(name: str, seed: int | None = None, **changes) -> nn.Module:
    """A fresh network by name, one of `NETWORKS` or of torchvision's; `changes` are given to its function.

    With a `seed` its weights are drawn from that seed; see `seeded`. Raises `DrillError` for an unknown name.
    """
    check_name(name)
    network = partial(NETWORKS.get(name) or partial(adapted.adapted, name), **changes)
    return network() if seed is None else seeded(network, seed)


def build_without_values(name: str, **changes) -> nn.Module:
    """As `build`, in no time: for weights that come from elsewhere, by `load_state_dict(…, assign=True)`."""
    with adapted.without_values(name):
        return build(name, **changes)


def seeded(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A fresh network with weights drawn from `seed`; torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network()


def parameter_count(model: nn.Module) -> int:
    """The number of parameters, frozen ones included."""
    return sum(p.numel() for p in model.parameters())
