"""The course's studies: each network over many seeds, and an ablation or comparison for what a notebook chooses.

`collect` trains them, `stored` keeps their runs. A stage trains on the whole training set and is evaluated on the test
set, as in its notebook. Variants of a choice train on 50,000 images and are evaluated on the validation set of
`data.split`: nothing is chosen on the test set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mnist_drill.evidence.architectures import early_pool, growing, separable, two_pools
from mnist_drill.networks import sprint, stage2, stage3, stage4
from mnist_drill.recipes import ADAPTED, PLAIN, STAGE4, Augmentation, Recipe, StepDecay, WarmupCosine
from mnist_drill.stages import NETWORKS
from mnist_drill.zoo.adapted import adapted

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@dataclass(frozen=True)
class Variant:
    """A network and the recipe that it trains with."""

    network: Callable[[], nn.Module]
    recipe: Recipe


@dataclass(frozen=True)
class Study:
    """Variants by name, each to be trained with `seeds` random seeds."""

    variants: dict[str, Variant]
    seeds: int = 3
    validation: bool = True  # trained on 50,000 images, evaluated on the validation set; else all, and the test set

    @property
    def evaluated_on(self) -> str:
        return "validation" if self.validation else "test"


SHORT = STAGE4.with_epochs(8)  # with the whole schedule in them
SLOWER = replace(SHORT, learning_rate=0.2)

STUDIES = {
    name: Study({name: Variant(stage.network, stage.recipe)}, stage.seeds, validation=False)
    for name, stage in NETWORKS.items()
} | {
    "stage3_dropout_0.1": Study({"stage3_dropout_0.1": Variant(partial(stage3, dropout=0.1), PLAIN)}, validation=False),
    # A network of torchvision from random initialization: trained as a whole, or its last layer on frozen features.
    "freezing": Study(
        {
            name: Variant(partial(adapted, "resnet18", freeze=freeze), ADAPTED.with_epochs(1))
            for name, freeze in (("resnet18", False), ("resnet18, linear probe", True))
        },
        validation=False,
    ),
    # Architectures of fewer than 10,000 parameters, all with batch norm and without dropout. They were compared first,
    # and stage 4's learning rate was raised after that.
    "candidates": Study(
        {
            "stage 2 with batch norm": Variant(partial(stage2, norm=True), SLOWER),
            "two pools": Variant(two_pools, SLOWER),
            "early pool": Variant(early_pool, SLOWER),
            "growing": Variant(growing, SLOWER),
            "separable": Variant(separable, SLOWER),
            "stride, no average pool": Variant(sprint, SLOWER),
        }
    ),
    "regularization": Study(
        {
            f"{'batch norm' if norm else 'no batch norm'}, dropout {dropout}": Variant(
                partial(stage2, norm=norm, dropout=dropout), PLAIN.with_epochs(10)
            )
            for norm, dropouts in ((True, (0.0, 0.002, 0.01, 0.05, 0.1)), (False, (0.0, 0.05)))
            for dropout in dropouts
        }
    ),
    "augmentation": Study(
        {
            name: Variant(stage4, replace(SHORT, augmentation=augmentation))
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
            name: Variant(stage4, replace(SHORT, **changes))
            for name, changes in {
                "SGD 0.8, warmup + cosine": {},
                "SGD 0.05, warmup + cosine": {"learning_rate": 0.05},
                "SGD 0.2, warmup + cosine": {"learning_rate": 0.2},
                "SGD 1.6, warmup + cosine": {"learning_rate": 1.6},
                "SGD 0.05, constant": {"learning_rate": 0.05, "schedule": None},
                "SGD 0.1, step decay": {"learning_rate": 0.1, "schedule": StepDecay(every=0.4)},
                "SGD 0.8, cosine": {"schedule": WarmupCosine(initial=1, warmup=0, annealed=1, final=0)},
                "Adam 0.01, warmup + cosine": {"learning_rate": 0.01, "optimizer": "adam"},
                "AdamW 0.01, warmup + cosine": {"learning_rate": 0.01, "optimizer": "adamw", "weight_decay": 0.01},
            }.items()
        }
    ),
}
