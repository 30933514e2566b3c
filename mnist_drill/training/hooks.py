"""What happens after each step of the optimizer: a hook is given the loss of the step, a tensor without gradient."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn, update_bn

from mnist_drill.data import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from mnist_drill.data import LabeledImages
    from mnist_drill.training.batches import Batches

    Hook = Callable[[Tensor], object]

EMA_INTERVAL = 8  # steps between two updates of the average: one takes longer than an optimizer step
STATISTICS_IMAGES, STATISTICS_BATCH = 5_000, 200  # that recomputed batch-norm statistics are taken over


def scheduled(scheduler: LRScheduler) -> Hook:
    """A hook that moves the learning rate on."""
    return lambda loss: scheduler.step()


class FiniteLoss:
    """A hook that notes a loss that is not finite; its batches end there, since no further step can repair it.

    `fault` says where that was; it is empty as long as every loss is finite. With `at_once` a loss is read at its step.
    On a GPU each step would wait for that, so there the losses of an epoch are read at its end.
    """

    def __init__(self, optimizer: Optimizer, at_once: bool = True):
        self.optimizer, self.at_once, self.fault = optimizer, at_once, ""
        self.losses: list[Tensor] = []  # of the epoch, not yet read
        self.learning_rates: list[float] = []  # of the epoch's steps

    def __call__(self, loss: Tensor) -> None:
        self.losses.append(loss)
        self.learning_rates.append(self.optimizer.param_groups[0]["lr"])
        if self.at_once:
            self._read()

    def until_not_finite(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, as long as their losses are known to be finite."""
        self.losses, self.learning_rates = [], []
        for batch in batches:
            yield batch
            if self.fault:
                return
        self._read()

    def _read(self) -> None:
        """Notes the first of the losses that is not finite."""
        first = len(self.learning_rates) - len(self.losses) + 1
        losses = torch.stack(self.losses).tolist() if self.losses else []
        for step, loss in enumerate(losses, first):
            if not math.isfinite(loss) and not self.fault:
                self.fault = f"step {step}, at learning rate {self.learning_rates[step - 1]:.3g}, perhaps too large"
        self.losses = []


class EMA:
    """A hook that keeps an exponential moving average of a network's weights.

    `decay` is meant per step, and the first step's weights are the first average. To save time the average is updated
    after the first step of an epoch and then after every `EMA_INTERVAL`th, with the decay to that power.
    """

    def __init__(self, model: nn.Module, decay: float, steps_per_epoch: int):
        self.model, self.steps_per_epoch, self.step = model, steps_per_epoch, 0
        self.averaged = deepcopy(model)
        # torch's `AveragedModel` counts its updates in a tensor, which on a GPU each update would wait for.
        self.average = get_ema_multi_avg_fn(decay**EMA_INTERVAL)

    def __call__(self, loss: Tensor) -> None:
        if self.step == 0:
            self.averaged.load_state_dict(self.model.state_dict())
        elif self.step % self.steps_per_epoch % EMA_INTERVAL == 0:
            networks = self.averaged, self.model
            averages, weights = (list(network.parameters()) for network in networks)
            self.average(averages, weights, None)
        self.step += 1

    def recompute_statistics(self, train_set: LabeledImages) -> None:
        """Recomputes the running statistics of the averaged network's batch norm, on images without augmentation.

        Where all of its batch norm is frozen, in evaluation mode while training, the statistics stay as they are.
        """
        norms = [layer for layer in self.averaged.train().modules() if isinstance(layer, _BatchNorm)]
        if not any(norm.training for norm in norms):
            return  # torch's `update_bn` would reset them and recompute none
        images = train_set.images[:STATISTICS_IMAGES].split(STATISTICS_BATCH)
        update_bn((normalize(batch) for batch in images), self.averaged)

    def state_dict(self) -> dict:
        """What a resumed training needs."""
        return {"step": self.step, "averaged": self.averaged.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a `state_dict`. Raises an error where it is not of this network."""
        self.averaged.load_state_dict(state["averaged"])
        self.step = int(state["step"])
