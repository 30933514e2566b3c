"""Architectures of fewer than 10,000 parameters that studies compare with the stages'."""

from functools import partial

from torch import nn

from mnist_drill.networks import conv_block, stage2, stage4


def two_pools() -> nn.Sequential:
    """Every convolution "same" but the last; a pool after each of two pairs."""
    block = partial(conv_block, padding=1, norm=True)
    return nn.Sequential(
        block(1, 8), block(8, 12, pool=True), block(12, 16), block(16, 16, pool=True), block(16, 16),
        conv_block(16, 16, norm=True), nn.AvgPool2d(5, stride=1), nn.Conv2d(16, 10, 1, bias=False), nn.Flatten(),
    )  # fmt: skip


def early_pool() -> nn.Sequential:
    """A 5×5 convolution and a pool at once, then more channels on smaller maps."""
    block = partial(conv_block, padding=1, norm=True)
    return nn.Sequential(
        conv_block(1, 10, 5, padding=2, pool=True, norm=True), block(10, 16), block(16, 20, pool=True), block(20, 20),
        nn.AvgPool2d(7, stride=1), nn.Conv2d(20, 10, 1, bias=False), nn.Flatten(),
    )  # fmt: skip


def growing() -> nn.Sequential:
    """Twice the channels at every step, from 4 to 32, and back to 12 at the end."""
    block = partial(conv_block, padding=1, norm=True)
    return nn.Sequential(
        block(1, 4), block(4, 8, pool=True), block(8, 16), block(16, 32, pool=True), conv_block(32, 12, norm=True),
        nn.AvgPool2d(5, stride=1), nn.Conv2d(12, 10, 1, bias=False), nn.Flatten(),
    )  # fmt: skip


def separable() -> nn.Sequential:
    """After the first convolution each is split in two, 3×3 in each channel and 1×1 across them: more channels."""

    def block(c_in: int, c_out: int, pool: bool = False) -> nn.Sequential:
        depthwise = nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False)
        return nn.Sequential(depthwise, conv_block(c_in, c_out, 1, pool=pool, norm=True))

    return nn.Sequential(
        conv_block(1, 16, padding=1, norm=True), block(16, 32, pool=True), block(32, 40), block(40, 40, pool=True),
        block(40, 56), nn.AvgPool2d(7, stride=1), nn.Conv2d(56, 10, 1, bias=False), nn.Flatten(),
    )  # fmt: skip


def dropout_before_classifier(dropout: float) -> nn.Sequential:
    """Stage 3's network with dropout at one place alone: after global average pooling, before the last convolution."""
    layers = list(stage4())
    return nn.Sequential(*layers[:-2], nn.Dropout(dropout), *layers[-2:])


def dropout_alone(dropout: float) -> nn.Sequential:
    """Stage 2 with dropout in every block, and no batch norm."""
    return stage2(partial(conv_block, dropout=dropout))


def he_initialized() -> nn.Sequential:
    """Stage 2 with the initialization of K. He and others (2015), which keeps the scale
    of the signal through ReLUs."""
    network = stage2()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network
