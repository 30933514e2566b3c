"""What logits, (N, 10), predict: classes and their probabilities, and how they agree with the labels, (N,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from mnist_drill.runs import Score

if TYPE_CHECKING:
    from torch import Tensor


def predictions(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The predicted classes, int64 of shape (N,), and the probability of each, between 0 and 1."""
    classes = logits.argmax(dim=1)
    return classes, logits.softmax(dim=1).gather(1, classes.unsqueeze(1)).squeeze(1)


def accuracy(classes: Tensor, labels: Tensor) -> float:
    """The share of the images whose labels are these classes, in percent."""
    return 100 * (classes == labels).sum().item() / len(labels)


def score(logits: Tensor, labels: Tensor) -> Score:
    """The mean cross-entropy, and the accuracy in percent."""
    return Score(F.cross_entropy(logits, labels).item(), accuracy(logits.argmax(dim=1), labels))


def confusion_matrix(logits: Tensor, labels: Tensor) -> Tensor:
    """Counts, int64 of shape (10, 10): rows are labels, columns predictions."""
    return (labels * 10 + logits.argmax(dim=1)).bincount(minlength=100).view(10, 10)


def most_confident_errors(logits: Tensor, labels: Tensor, most: int) -> Tensor:
    """The positions of at most so many images that are classified wrongly, the most confident errors first."""
    classes, probabilities = predictions(logits)
    wrong = (classes != labels).nonzero().flatten()
    return wrong[probabilities[wrong].argsort(descending=True)][:most]
