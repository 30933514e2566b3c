"""Whether a network's weights come from its random seed: equal at one seed, and others at another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.counting import numbers_in

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.examination import Examination
    from mnist_drill.judge.talk import Talk

FEW = 16  # numbers, which correlate by chance
ALIKE, SHARE = 0.9, 0.1  # a correlation between two seeds, and the share of all weights that may have it


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
    pairs = [(first[key], other[key]) for key in first]
    ours, theirs = (
        torch.tensor(numbers_in(examination.first.programs[which].program), dtype=torch.float64)
        for which in ("seed 0", "seed 2")
    )
    if len(ours) == len(theirs):
        pairs.append((ours, theirs))
    alike = sum(x.numel() for x, at_another in pairs if _alike(x, at_another))
    if alike > SHARE * sum(x.numel() for x, _ in pairs):
        return Initialization(True, True, f"{alike:,} of its weights are the same at every seed, or nearly so")
    return Initialization(True, True)


def _constants(talk: Talk, which: str) -> dict[int, Tensor] | None:
    recorded = talk.programs.get(which)
    return recorded and {number: recorded.program.constants[number] for number in sorted(recorded.program.used)}


def _equal(ours: dict[int, Tensor], theirs: dict[int, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[key].shape == theirs[key].shape and torch.equal(ours[key], theirs[key]) for key in ours
    )


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the two are equal, or correlate as weights that somebody has trained do with themselves and some noise.

    What is one number throughout, as zeros and ones are, nobody has trained.
    """
    if len(ours.unique()) < 2:
        return False
    if ours.numel() <= FEW:
        return torch.equal(ours, theirs)
    both = torch.stack([ours.double().flatten(), theirs.double().flatten()])
    return not abs(float(torch.corrcoef(both)[0, 1])) < ALIKE
