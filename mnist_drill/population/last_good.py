"""What stays of each member of a population, however its training ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from torch import Tensor, nn

    from mnist_drill.population.training import PopulationTraining
    from mnist_drill.runs import Epoch


@dataclass(frozen=True)
class Kept:
    """What there is of a member: its weights after the last good epoch, its rows, and why it has no more of them."""

    weights: dict[str, Tensor]
    rows: tuple[Epoch, ...] = ()
    stopped: str = ""

    def with_epoch(self, row: Epoch, weights: dict[str, Tensor], fault: str) -> Kept:
        """What there is after a further epoch; the same where the member has stopped before."""
        if self.stopped:
            return self
        rows = (*self.rows, row)
        if fault:
            return Kept(self.weights, rows, f"loss {row.train_loss} in epoch {row.epoch}, {fault}")
        return Kept(weights, rows)

    def interrupted(self, epochs: int) -> Kept:
        """The same after an interrupt, which stops a member that has fewer rows than `epochs`."""
        if self.stopped or len(self.rows) == epochs:
            return self
        return Kept(self.weights, self.rows, f"interrupted after epoch {len(self.rows)}")


class LastGoodMembers:
    """As `LastGood`, for each member: a loss that is not finite stops its member alone, an interrupt stops all.

    `networks` are then left with the weights that were kept.
    """

    def __init__(self, training: PopulationTraining, networks: Sequence[nn.Module], seeds: Sequence[int]):
        self.training, self.networks, self.seeds = training, networks, seeds

    def __enter__(self) -> LastGoodMembers:
        self.members = [Kept(weights) for weights in self.training.result.member_states()]
        return self

    def epochs_left(self) -> Iterator[int]:
        """The numbers of the epochs that are still to be trained, as long as one member is left."""
        for epoch in range(1, self.training.recipe.epochs + 1):
            if all(member.stopped for member in self.members):
                return
            yield epoch

    def add(self, rows: Sequence[Epoch]) -> dict[int, Epoch]:
        """Keeps the rows of an epoch, one for each member, and the weights after it.

        Returns the rows by seed, without those of members that had stopped before.
        """
        before, weights, faults = self.members, self.training.result.member_states(), self.training.loss_check.faults
        parts = zip(before, rows, weights, faults, strict=True)
        self.members = [member.with_epoch(*part) for member, *part in parts]  # at once: no interrupt can part them
        return {seed: row for seed, row, member in zip(self.seeds, rows, before, strict=True) if not member.stopped}

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if kind is KeyboardInterrupt and any(member.rows for member in self.members):
            self.members = [member.interrupted(self.training.recipe.epochs) for member in self.members]
        elif kind is not None:
            return False
        for reason in dict.fromkeys(member.stopped for member in self.members if member.stopped):
            stopped = [seed for seed, member in zip(self.seeds, self.members, strict=True) if member.stopped == reason]
            print(f"The training of seed {', '.join(map(str, stopped))} ended early: {reason}", flush=True)
        for network, member in zip(self.networks, self.members, strict=True):
            network.load_state_dict(member.weights)
        return True
