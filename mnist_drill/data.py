"""MNIST as tensors: loaded, split and normalized."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mnist_drill.errors import DrillError
from mnist_drill.storage.mnist import fetch, tensor_of_idx

if TYPE_CHECKING:
    from pathlib import Path

# The mean and standard deviation of the 60,000 training images with pixels in [0, 1]; notebook 1 measures them.
MEAN, STD = 0.1307, 0.3081


@dataclass(frozen=True)
class LabeledImages:
    """Images, float32 of shape (N, 1, 28, 28) in [0, 1], 0 the background; and labels, int64 of shape (N,) in 0..9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> LabeledImages:
        """The images at `index`, and their labels: a slice, or a tensor of positions or of booleans."""
        return LabeledImages(self.images[index], self.labels[index])

    def to(self, device) -> LabeledImages:
        """The images and labels on a device. Raises `DrillError` where it has no memory for them."""
        try:
            return LabeledImages(self.images.to(device), self.labels.to(device))
        except torch.OutOfMemoryError:
            raise DrillError(
                f"{device} has no memory for {len(self):,} images: free some, or choose --device cpu"
            ) from None


def load(folder: str | Path | None = None) -> tuple[LabeledImages, LabeledImages]:
    """The training set of 60,000 images and the test set of 10,000, verified; fetched first where that is needed.

    Raises `DrillError` when a file is missing or damaged and no source has it, or the folder cannot be written.
    """
    contents = fetch(folder)
    images, labels = (
        [tensor_of_idx(contents[f"{part}-{kind}"]) for part in ("train", "t10k")]
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    train_set, test_set = (
        LabeledImages(from_grey(x.unsqueeze(1)), y.long()) for x, y in zip(images, labels, strict=True)
    )
    return train_set, test_set


def split(train_set: LabeledImages) -> tuple[LabeledImages, LabeledImages]:
    """The fixed, stratified split of the training set for choices: every sixth image, in order of class, validates.

    60,000 images become 50,000 to train on and a validation set of 10,000. Nothing is random, so the split is the same
    on every machine and for every version of torch.
    """
    by_class = train_set.labels.argsort(stable=True)
    validates = torch.zeros(len(train_set), dtype=torch.bool)
    validates[by_class[::6]] = True
    return train_set[~validates], train_set[validates]


def normalize(images: Tensor) -> Tensor:
    """Images in [0, 1], to mean 0 and standard deviation 1 over the training set."""
    return (images - MEAN) / STD


def to_grey(images: Tensor) -> Tensor:
    """Images in [0, 1] as grey values from 0 to 255, uint8, on the same device."""
    return (images * 255).round().byte().contiguous()


def from_grey(values: Tensor) -> Tensor:
    """Grey values from 0 to 255 as images in [0, 1], float32, of the same shape."""
    return values.float() / 255


def checksum(*datasets: LabeledImages) -> str:
    """A digest of the pixels, as grey values from 0 to 255, and the labels of the sets, in order."""
    digest = hashlib.sha256()
    for dataset in datasets:
        for part in dataset.images.split(10_000):
            digest.update(to_grey(part).cpu().numpy())
        digest.update(dataset.labels.byte().cpu().contiguous().numpy())
    return digest.hexdigest()[:16]
