"""Whether a network's weights come from its random seed: equal at one seed, and others at another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.examination import Examination
    from mnist_drill.judge.talk import Talk

# A tensor of few different values is no set of weights that somebody has trained: zeros, ones, a filter of edges.
FEW_VALUES = 16
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
    weights = {key: x for key, x in first.items() if x.is_floating_point() and len(x.unique()) > FEW_VALUES}
    total = sum(x.numel() for x in first.values() if x.is_floating_point())
    alike = sum(x.numel() for key, x in weights.items() if _alike(x, other[key]))
    if alike > SHARE * total:
        return Initialization(True, True, f"{alike:,} of its weights are the same at every seed, or nearly so")
    return Initialization(True, True)


def _constants(talk: Talk, which: str) -> dict[int, Tensor] | None:
    recorded = talk.programs.get(which)
    return recorded and recorded.program.constants


def _equal(ours: dict[int, Tensor], theirs: dict[int, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[key].shape == theirs[key].shape and torch.equal(ours[key], theirs[key]) for key in ours
    )


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the two correlate, as weights that somebody has trained do with themselves and a little noise."""
    both = torch.stack([ours.double().flatten(), theirs.double().flatten()])
    return not abs(float(torch.corrcoef(both)[0, 1])) < ALIKE
