"""The images that a network is judged by: which it trains on, which it is evaluated on, and moved ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from mnist_drill import data

if TYPE_CHECKING:
    from mnist_drill.data import LabeledImages

SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # pixels down and right; the images take turns


@dataclass(frozen=True)
class Sets:
    """The training set and the test set. The judge alone has the labels of what is evaluated."""

    train_set: LabeledImages
    test_set: LabeledImages

    @classmethod
    def load(cls) -> Sets:
        """MNIST. Raises `DrillError` where it is not there and cannot be fetched."""
        return cls(*data.load())

    @cached_property
    def by_split(self) -> dict[str, tuple[LabeledImages, LabeledImages]]:
        """What is trained on and what is evaluated, by the name of the latter."""
        return {"validation": data.split(self.train_set), "test": (self.train_set, self.test_set)}

    @cached_property
    def shifted(self) -> LabeledImages:
        """The test images, each moved by one pixel; a network that has memorized the test images knows none of them."""
        images = self.test_set.images
        moved = torch.empty_like(images)
        for turn, shift in enumerate(SHIFTS):
            moved[turn :: len(SHIFTS)] = images[turn :: len(SHIFTS)].roll(shift, dims=(2, 3))
        return data.LabeledImages(moved, self.test_set.labels)
