"""Shuffled batches of a training set, with an optional transform, and a progress bar over them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from mnist_drill.data import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor

    from mnist_drill.data import LabeledImages

    Batches = Iterable[tuple[Tensor, Tensor]]


def shuffled_batches(
    train_set: LabeledImages,
    batch_size: int,
    transform: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The training set once, in a new random order, in batches: normalized images,
    (N, 1, 28, 28), and their labels, (N,). The last batch may be smaller.

    `transform` is given the images of a batch, in [0, 1], before they are normalized.
    """
    order = torch.randperm(len(train_set), device=train_set.labels.device)
    for positions in order.split(batch_size):
        images = train_set.images[positions]
        if transform is not None:
            images = transform(images)
        yield normalize(images), train_set.labels[positions]


def with_progress(batches: Batches, epoch: int, total: int, shown: bool = True) -> Batches:
    """The same batches, under a progress bar that disappears after the last one."""
    return tqdm(
        batches, f"epoch {epoch}", total, leave=False, disable=not shown, file=sys.stdout, mininterval=0.5
    )  # fmt: skip
