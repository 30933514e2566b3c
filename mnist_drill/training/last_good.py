"""What stays of a training, however it ends: the rows of its finished epochs, and the last good weights."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mnist_drill.runs import Epoch
    from mnist_drill.training.setup import Training


class LastGood:
    """A context around the epochs of a training, which keeps their rows and the weights after the last good one.

    An interrupt, once an epoch is finished, and a loss that is not finite end the training, and `stopped` says why.
    The network is then left with the weights that were kept, as after the last epoch. Any other exception, and an
    interrupt before the first epoch is finished, is passed on.
    """

    def __init__(self, training: Training):
        self.training = training
        self.rows: list[Epoch] = []
        self.stopped = ""

    def __enter__(self) -> LastGood:
        self.weights = deepcopy(self.training.result.state_dict())
        return self

    def epochs_left(self) -> Iterator[int]:
        """The numbers of the epochs that are still to be trained."""
        while len(self.rows) < self.training.recipe.epochs and not self.stopped:
            yield len(self.rows) + 1

    def add(self, row: Epoch) -> None:
        """Keeps the row of an epoch, and its weights unless a loss in it was not finite; then `stopped` says so."""
        rows = [*self.rows, row]
        if self.training.loss_check.fault:
            self.stopped = f"loss {row.train_loss} in epoch {row.epoch}, {self.training.loss_check.fault}"
            self.rows = rows
        else:  # both at once, so that an interrupt cannot part them
            self.weights, self.rows = deepcopy(self.training.result.state_dict()), rows

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if kind is KeyboardInterrupt and self.rows:
            if len(self.rows) < self.training.recipe.epochs and not self.stopped:
                self.stopped = f"interrupted after epoch {len(self.rows)}"
        elif kind is not None:
            return False
        if self.stopped:
            print(f"The training ended early: {self.stopped}", flush=True)
        self.training.network.load_state_dict(self.weights)
        return True
