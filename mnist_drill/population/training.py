"""What a recipe composes around the loop of a population: each member's own order, augmentation and loss check."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mnist_drill.augment import affine, erase
from mnist_drill.data import normalize
from mnist_drill.population.network import Population
from mnist_drill.training.batches import with_progress
from mnist_drill.training.hooks import FiniteLoss
from mnist_drill.training.setup import Training, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Generator, Tensor, nn
    from torch.optim import Optimizer

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Augmentation, Recipe
    from mnist_drill.training.batches import Batches


def member_batches(
    train_set: LabeledImages, batch_size: int, augmentation: Augmentation, generators: Sequence[Generator]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The training set once for each member, in its own random order: images (N, members, 28, 28), labels (N, members).

    As `shuffled_batches` yields them to a network alone, augmented and normalized.
    """
    size, device = len(train_set), train_set.labels.device
    orders = torch.stack([torch.randperm(size, generator=generator, device=device) for generator in generators])
    for positions in orders.split(batch_size, dim=1):
        images = augment_members(train_set.images[positions], augmentation, generators)
        yield normalize(images).squeeze(2).transpose(0, 1), train_set.labels[positions].T


def augment_members(images: Tensor, augmentation: Augmentation, generators: Sequence[Generator]) -> Tensor:
    """The images of each member, (members, N, 1, H, H), as `augment.augment` gives them: all transformed at once.

    Each member draws from its own generator what `augment` draws for it alone, in the same order.
    """
    a, shape = augmentation, images.shape
    images = images.flatten(0, 1)

    def draw(limit: float, *of_image: int) -> Tensor:
        drawn = torch.empty(*shape[:2], *of_image, device=images.device)
        for part, generator in zip(drawn, generators, strict=True):
            part.uniform_(-limit, limit, generator=generator)
        return drawn.flatten(0, 1)

    if a.rotation or a.translation or a.scale or a.shear:
        images = affine(images, draw(a.rotation), draw(a.translation, 2), 1 + draw(a.scale), draw(a.shear))
    if a.cutout:
        size, device = (shape[1], 2), images.device
        centres = [torch.randint(shape[-1], size, generator=generator, device=device) for generator in generators]
        images = erase(images, torch.cat(centres), a.cutout)
    return images.unflatten(0, shape[:2])


class MemberLosses:
    """A hook for the losses of a step, (members,): each member's are checked by a `FiniteLoss` of its own.

    They are read at the end of an epoch. A member with a loss that is not finite goes on, to no effect on the others;
    from the next epoch on its losses are no longer noted.
    """

    def __init__(self, optimizer: Optimizer, members: int):
        self.checks = [FiniteLoss(optimizer, at_once=False) for _ in range(members)]

    def __call__(self, losses: Tensor) -> None:
        for check, loss in zip(self.checks, losses, strict=True):
            if not check.fault:
                check(loss)

    def until_not_finite(self, batches: Batches) -> Batches:
        """The batches of an epoch, all of them; then `faults` is up to date."""
        for check in self.checks:
            if not check.fault:
                batches = check.until_not_finite(batches)
        return batches

    @property
    def faults(self) -> list[str]:
        """Where the loss of each member was not finite, empty where it always was."""
        return [check.fault for check in self.checks]


@dataclass
class PopulationTraining(Training):
    """The training of a population: its networks are `Population`s, and each member has its own batches."""

    generators: list[Generator]

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch, counted from 1; see `member_batches`."""
        augmentation = self.recipe.augmentation_at(epoch)
        batches = member_batches(self.train_set, self.recipe.batch_size, augmentation, self.generators)
        return self.loss_check.until_not_finite(with_progress(batches, epoch, self.steps_per_epoch, self.progress))


def prepare_population(
    networks: Sequence[nn.Module], recipe: Recipe, train_set: LabeledImages, seeds: Sequence[int], progress: bool
) -> PopulationTraining:
    """As `setup.prepare`, of networks with those seeds.

    Each member draws from a generator of its own, seeded as torch's is for a network alone. Dropout draws from torch's
    generator, whose seed follows from all of theirs and is none of them, or masks would repeat other draws.
    """
    seed = random.Random(repr(list(seeds))).getrandbits(63)
    training = prepare(Population(networks), recipe, train_set, seed, progress)
    parts = vars(training) | {"loss_check": MemberLosses(training.optimizer, len(seeds))}
    device = train_set.labels.device
    return PopulationTraining(**parts, generators=[torch.Generator(device).manual_seed(seed) for seed in seeds])
