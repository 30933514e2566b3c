"""Several networks that vote."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mnist_drill.data import Digits


def vote(logits: Sequence[Tensor]) -> Tensor:
    """The class that most networks give each digit; of equals, that of the highest mean probability.

    `logits` are one tensor of shape (N, 10) for each network; the classes have shape (N,), int64.
    """
    stacked = torch.stack(list(logits))
    votes = torch.nn.functional.one_hot(stacked.argmax(dim=2), stacked.shape[2]).sum(dim=0)
    # A mean probability is at most 1, so that it cannot outweigh a vote.
    return (votes + 0.5 * stacked.double().softmax(dim=2).mean(dim=0)).argmax(dim=1)


def accuracy(classes: Tensor, digits: Digits) -> float:
    """The share of the digits that have these classes, shape (N,), in percent."""
    return 100 * (classes == digits.labels).sum().item() / len(digits)
