"""The stages of the course: one record for each, which everything that lists, trains or judges them iterates over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mnist_drill.networks import sprint, stage1, stage2, stage3, stage4
from mnist_drill.recipes import PLAIN, SPRINT, STAGE4, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@dataclass(frozen=True)
class Published:
    """Figures of the four-step drill that the course builds on: one run, best epochs picked on the test set."""

    best_train: float  # percent
    best_test: float  # percent


@dataclass(frozen=True)
class Stage:
    """A record: a network of the course, its recipe, its evidence and, if it is a stage, its notebook."""

    network: Callable[..., nn.Module]
    recipe: Recipe
    parameters: int  # that the network has to have
    seeds: int  # of its evidence
    notebook: str | None = None  # its file's name, without suffix; None for a network that no notebook introduces
    compared_with: tuple[str, ...] = ()  # evidence that its notebook's analysis is given, after the run itself
    published: Published | None = None

    @property
    def name(self) -> str:
        return self.network.__name__


# Every record by its network's name; `sprint` is a network of the course and no stage.
NETWORKS = {
    stage.name: stage
    for stage in (
        Stage(
            network=stage1,
            recipe=replace(PLAIN, epochs=3, learning_rate=0.03),  # an epoch takes long, and so it is to need few
            parameters=992_800,
            seeds=5,
            notebook="01_setup",
            published=Published(best_train=99.88, best_test=99.14),
        ),
        Stage(
            network=stage2,
            recipe=PLAIN,
            parameters=9_712,
            seeds=10,
            notebook="02_parameter_reduction",
            compared_with=("stage1",),
            published=Published(best_train=98.44, best_test=98.53),
        ),
        Stage(
            network=stage3,
            recipe=PLAIN,
            parameters=9_904,
            seeds=10,
            notebook="03_batchnorm_dropout",
            compared_with=("stage2", "stage3_dropout_0.1"),
            published=Published(best_train=98.75, best_test=99.24),
        ),
        Stage(
            network=stage4,
            recipe=STAGE4,
            parameters=9_904,
            seeds=10,
            notebook="04_augmentation_scheduler",
            compared_with=("stage3",),
            published=Published(best_train=99.08, best_test=99.44),
        ),
        Stage(network=sprint, recipe=SPRINT, parameters=9_968, seeds=20),
    )
}
STAGES = {name: stage for name, stage in NETWORKS.items() if stage.notebook}  # in the order of their notebooks
