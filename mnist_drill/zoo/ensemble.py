"""Majority-vote (hard-voting) ensembles of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def majority_vote(logits: Sequence[Tensor]) -> Tensor:
    """The class that most networks predict for each image; ties are broken by the highest mean probability.

    `logits` are one tensor of shape (N, 10) for each network; the classes have shape (N,), int64.
    """
    stacked = torch.stack(list(logits))
    votes = torch.nn.functional.one_hot(stacked.argmax(dim=2), stacked.shape[2]).sum(dim=0)
    # A mean probability is at most 1, so that it cannot outweigh a vote.
    return (votes + 0.5 * stacked.double().softmax(dim=2).mean(dim=0)).argmax(dim=1)
