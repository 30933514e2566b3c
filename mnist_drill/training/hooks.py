"""What happens after each step of the optimizer: a hook is given the loss of the step, a tensor without gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

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

    `fault` says where that was; it is empty as long as every loss is finite.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer, self.steps, self.fault = optimizer, 0, ""

    def __call__(self, loss: Tensor) -> None:
        self.steps += 1
        if not loss.isfinite():  # on a GPU, the one thing that a step waits for
            learning_rate = self.optimizer.param_groups[0]["lr"]
            self.fault = f"step {self.steps}, at learning rate {learning_rate:.3g}, perhaps too large"

    def until_not_finite(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, as long as their losses are finite."""
        self.steps = 0
        for batch in batches:
            yield batch
            if self.fault:
                return


class EMA:
    """A hook that keeps an exponential moving average of a network's weights.

    `decay` is meant per step, and the first step's weights are the first average. To save time the average is updated
    after the first step of an epoch and then after every `EMA_INTERVAL`th, with the decay to that power.
    """

    def __init__(self, model: nn.Module, decay: float, steps_per_epoch: int):
        self.model, self.steps_per_epoch, self.step = model, steps_per_epoch, 0
        self.averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay**EMA_INTERVAL))

    def __call__(self, loss: Tensor) -> None:
        if self.step % self.steps_per_epoch % EMA_INTERVAL == 0:
            self.averaged.update_parameters(self.model)
        self.step += 1

    def recompute_statistics(self, train_set: LabeledImages) -> None:
        """Recomputes the running statistics of the averaged network's batch norm, on images without augmentation."""
        images = train_set.images[:STATISTICS_IMAGES].split(STATISTICS_BATCH)
        update_bn((normalize(batch) for batch in images), self.averaged)
