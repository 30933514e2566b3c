"""Whether a network's weights come from its random seed: equal at one seed, and others at another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.counting import numbers_in, values_by_place

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.examination import Examination
    from mnist_drill.judge.program import Program
    from mnist_drill.judge.talk import Talk

FEW = 16  # numbers, which may be alike by chance
SHARE = 0.1  # of all weights, that may be alike, and a few more
NEAR, OTHERS = 0.25, 8  # a share of the usual distance, and how many other orders of a tensor that is measured by


@dataclass(frozen=True)
class Initialization:
    """Whether it could be judged, whether weights repeat at one seed, and what is wrong, empty if nothing is."""

    judged: bool
    repeats: bool
    fault: str = ""


def initialization(examination: Examination) -> Initialization:
    """Compares the constants of the programs: two builds at one seed, one of them in a fresh process, and another."""
    first, again, other = (_constants(examination.first, f"seed {place}") for place in range(3))
    fresh = _constants(examination.fresh, "seed 0")
    if first is None or again is None or other is None or fresh is None:
        return Initialization(False, False)
    if not _equal(first, again):
        return Initialization(True, False, "two networks built at the same seed have different weights")
    if not _equal(first, fresh):
        return Initialization(True, False, "built in another process at the same seed, the network has other weights")
    if first.keys() != other.keys() or any(first[key].shape != other[key].shape for key in first):
        return Initialization(True, True, "at another seed it is another network")
    if _equal(first, other):
        return Initialization(True, True, "all of its weights are the same at every seed")
    pairs = _pairs(*(examination.first.programs[which].program for which in ("seed 0", "seed 2")))
    alike = round(sum(_alike(ours, theirs) for ours, theirs in pairs))
    if alike > SHARE * sum(len(ours) for ours, _ in pairs) + FEW:
        return Initialization(True, True, f"about {alike:,} of its weights are the same at every seed, or nearly so")
    return Initialization(True, True)


def _pairs(ours: Program, theirs: Program) -> list[tuple[Tensor, Tensor]]:
    """The numbers of two programs, tensor by tensor, each of shape (numbers,), without what is only a view of others.

    What is one number throughout, as zeros and ones are, is one number; all of these, and those in the operations, are
    compared as a tensor of their own.
    """
    ours_at, theirs_at = values_by_place(ours), values_by_place(theirs)
    alone, pairs = [], []
    for number, values in ours_at.items():
        others = theirs_at[number]
        if len(values) != len(others):
            others = values  # its places are others at every seed: which ones, is no draw of torch's generator
        if len(values) and (values == values[0]).all() and (others == others[0]).all():
            alone.append((values[:1], others[:1]))
        elif len(values):
            pairs.append((values, others))
    numbers = [torch.tensor(numbers_in(program), dtype=torch.float64) for program in (ours, theirs)]
    if len(numbers[0]) == len(numbers[1]):
        alone.append(tuple(numbers))
    return [*pairs, tuple(map(torch.cat, zip(*alone, strict=True)))] if alone else pairs


def _constants(talk: Talk, which: str) -> dict[int, Tensor] | None:
    recorded = talk.programs.get(which)
    return recorded and {number: recorded.program.constants[number] for number in sorted(recorded.program.used)}


def _equal(ours: dict[int, Tensor], theirs: dict[int, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[key].shape == theirs[key].shape and torch.equal(ours[key], theirs[key]) for key in ours
    )


def _alike(ours: Tensor, theirs: Tensor) -> float:
    """How many numbers of a tensor are nearly the same at two seeds: more than are near to others of the tensor.

    Near is a quarter of what is usual between two that have nothing to do with each other.
    """
    size = len(ours)
    if size < 2:
        return float(torch.equal(ours, theirs)) * size
    generator = torch.Generator().manual_seed(0)
    if size <= FEW:
        turned = [theirs.roll(turn) for turn in range(1, size)]
    else:
        turned = [theirs[torch.randperm(size, generator=generator)] for _ in range(OTHERS)]
    apart, usual = (ours - theirs).abs(), (ours - torch.stack(turned)).abs()
    near = NEAR * (torch.cat([apart[None], usual]).mean() if size <= FEW else usual.median())
    same, by_chance = (float((x <= near).double().mean()) for x in (apart, usual))
    return size * (same - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
