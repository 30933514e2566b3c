"""What is tried: each network over many seeds, and the alternatives to what a notebook chooses.

`evidence` trains and stores them. A stage trains on all training digits and is read on the test digits, as in its
notebook. Alternatives train on 50,000 digits and are read on the 10,000 validation digits of `data.split`: the test set
has no say in a choice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from mnist_drill.adapted import adapted
from mnist_drill.augment import Augmentation
from mnist_drill.models import NETWORKS, conv_block, sprint, stage2, stage3, stage4
from mnist_drill.train import ADAPTED, RECIPES, OneCycle, Recipe, Steps


@dataclass(frozen=True)
class Alternative:
    """A network and the recipe that it trains with."""

    network: Callable[[], nn.Module]
    recipe: Recipe


@dataclass(frozen=True)
class Study:
    """Alternatives by name, each to be trained with `seeds` seeds."""

    alternatives: dict[str, Alternative]
    seeds: int = 3
    validation: bool = True  # trained on 50,000 digits and read on 10,000 others of the training set


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


def _stage(name: str, seeds: int) -> Study:
    return Study({name: Alternative(NETWORKS[name], RECIPES[name])}, seeds, validation=False)


STAGE4 = RECIPES["stage4"]
SHORT = STAGE4.with_epochs(8)  # with the whole schedule in them
SLOWER = replace(SHORT, learning_rate=0.2)

STUDIES = {
    "stage1": _stage("stage1", 3),
    "stage2": _stage("stage2", 10),
    "stage3": _stage("stage3", 10),
    "stage4": _stage("stage4", 10),
    "sprint": _stage("sprint", 20),
    "stage3_dropout_0.1": Study(
        {"stage3_dropout_0.1": Alternative(partial(stage3, dropout=0.1), RECIPES["stage3"])}, 3, validation=False
    ),
    # A network of torchvision, from drawn weights: all of it trained, or the last layer alone.
    "freezing": Study(
        {
            name: Alternative(partial(adapted, "resnet18", freeze=freeze), ADAPTED.with_epochs(1))
            for name, freeze in (("resnet18", False), ("resnet18, last layer alone", True))
        },
        validation=False,
    ),
    # Shapes of networks under 10,000 parameters, all with batch norm and without dropout. They were compared first, and
    # stage 4's rate was raised after that.
    "candidates": Study(
        {
            "stage 2": Alternative(partial(stage2, norm=True), SLOWER),
            "two pools": Alternative(two_pools, SLOWER),
            "early pool": Alternative(early_pool, SLOWER),
            "growing": Alternative(growing, SLOWER),
            "separable": Alternative(separable, SLOWER),
            "stride, no mean": Alternative(sprint, SLOWER),
        }
    ),
    "regularization": Study(
        {
            f"{'batch norm' if norm else 'no batch norm'}, dropout {dropout}": Alternative(
                partial(stage2, norm=norm, dropout=dropout), RECIPES["stage3"].with_epochs(10)
            )
            for norm, dropouts in ((True, (0.0, 0.002, 0.01, 0.05, 0.1)), (False, (0.0, 0.05)))
            for dropout in dropouts
        }
    ),
    "augmentation": Study(
        {
            name: Alternative(stage4, replace(SHORT, augmentation=augmentation))
            for name, augmentation in {
                "none": Augmentation(),
                "rotation": Augmentation(rotation=10),
                "shift": Augmentation(translation=2),
                "scale and shear": Augmentation(scale=0.1, shear=5.7),
                "cutout": Augmentation(cutout=8),
                "stage 4": STAGE4.augmentation,
                "stage 4 and cutout": replace(STAGE4.augmentation, cutout=8),
            }.items()
        }
    ),
    "schedules": Study(
        {
            name: Alternative(stage4, replace(SHORT, **changes))
            for name, changes in {
                "SGD 0.8, stage 4": {},
                "SGD 0.05, stage 4": {"learning_rate": 0.05},
                "SGD 0.2, stage 4": {"learning_rate": 0.2},
                "SGD 1.6, stage 4": {"learning_rate": 1.6},
                "SGD 0.05, constant": {"learning_rate": 0.05, "schedule": None},
                "SGD 0.1, steps": {"learning_rate": 0.1, "schedule": Steps(every=0.4)},
                "SGD 0.8, cosine": {"schedule": OneCycle(start=1, peak_at=0, end_at=1, end=0)},
                "Adam 0.01, stage 4": {"learning_rate": 0.01, "optimizer": "adam"},
                "AdamW 0.01, stage 4": {"learning_rate": 0.01, "optimizer": "adamw", "weight_decay": 0.01},
            }.items()
        }
    ),
}
