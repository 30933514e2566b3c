"""What a recipe composes around the training loop: batches, optimizer, hooks, and the network that is evaluated."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mnist_drill.augment import augment
from mnist_drill.data import normalize
from mnist_drill.errors import DrillError
from mnist_drill.training.batches import shuffled_batches, with_progress
from mnist_drill.training.devices import MixedPrecision, has_bfloat16, memory_format
from mnist_drill.training.hooks import EMA, FiniteLoss, scheduled

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.training.batches import Batches
    from mnist_drill.training.hooks import Hook


@dataclass
class Training:
    """A training as a recipe composes it; `train.fit` runs its epochs."""

    recipe: Recipe
    train_set: LabeledImages
    network: nn.Module
    model: nn.Module  # what the loop calls: the network, in mixed precision where the recipe says so
    optimizer: Optimizer
    scheduler: LRScheduler
    loss_check: FiniteLoss
    steps_per_epoch: int
    ema: EMA | None
    progress: bool  # whether a bar is shown

    @property
    def after_step(self) -> list[Hook]:
        """The hooks, in order."""
        return [self.loss_check, scheduled(self.scheduler), *([self.ema] if self.ema else [])]

    @property
    def result(self) -> nn.Module:
        """The network with the weights that count: the average of the weights, where the recipe takes one."""
        return self.ema.averaged if self.ema else self.network

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch, counted from 1."""
        transform = partial(augment, augmentation=self.recipe.augmentation_at(epoch))
        batches = shuffled_batches(self.train_set, self.recipe.batch_size, transform)
        return self.loss_check.until_not_finite(with_progress(batches, epoch, self.steps_per_epoch, self.progress))

    def model_to_evaluate(self) -> nn.Module:
        """`result`, ready to be evaluated after an epoch: averaged weights first get batch-norm statistics."""
        if self.ema:
            self.ema.recompute_statistics(self.train_set)
        return self.result


def prepare(network: nn.Module, recipe: Recipe, train_set: LabeledImages, seed: int, progress: bool) -> Training:
    """Seeds torch's generator, moves the network to the device of the training set, and composes the training.

    Raises `DrillError` where the last batch is a single image, of which the network's batch norm has no variance.
    """
    device = train_set.labels.device
    network.to(device, memory_format=memory_format(device))
    _check_last_batch(network, train_set, recipe.batch_size)
    torch.manual_seed(seed)
    mixed = recipe.mixed_precision and has_bfloat16(device)
    optimizer = optimizer_for(network, recipe)
    steps_per_epoch = ceil(len(train_set) / recipe.batch_size)
    steps = recipe.epochs * steps_per_epoch
    return Training(
        recipe=recipe,
        train_set=train_set,
        network=network,
        model=MixedPrecision(network, device) if mixed else network,
        optimizer=optimizer,
        scheduler=LambdaLR(optimizer, lambda step: recipe.learning_rate_at(step / steps)),
        loss_check=FiniteLoss(optimizer, at_once=device.type == "cpu"),
        steps_per_epoch=steps_per_epoch,
        ema=EMA(network, recipe.ema_decay, steps_per_epoch) if recipe.ema_decay else None,
        progress=progress,
    )


def _check_last_batch(network: nn.Module, train_set: LabeledImages, batch_size: int) -> None:
    if len(train_set) % batch_size != 1:
        return
    try:
        with torch.no_grad():
            deepcopy(network).train()(normalize(train_set.images[:1]))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise DrillError(
            f"{len(train_set):,} training images in batches of {batch_size:,} leave one image for the last batch, "
            "too few for the network's batch norm: choose another batch size"
        ) from None


def optimizer_for(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer, at learning rate 1 for a scheduler to multiply; it decays parameters of two or more
    dimensions alone."""
    groups = [
        {"params": [p for p in network.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in network.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer](groups, lr=1.0, fused=True)
