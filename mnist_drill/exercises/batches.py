"""The learner's batches, looked at one by one and joined."""

from __future__ import annotations

from itertools import islice

import torch

from mnist_drill.data import LabeledImages, normalize
from mnist_drill.exercises.feedback import Wrong, ask, kind, run, tensor

SIZE, MOST = 50, 10_000  # images of a batch; batches after which an endless generator is given up


def all_batches(batches, few: LabeledImages) -> list[LabeledImages]:
    """The learner's batches of 50. Raises `Wrong` unless they are the set's images, once each, with their labels."""
    iterable = ask(batches, few, SIZE)
    found = [_pair(batch) for batch in run(lambda: list(islice(iterable, MOST)), author=batches)]
    if not found:
        raise Wrong("there are no batches")
    images, labels = torch.cat([images for images, _ in found]), torch.cat([labels for _, labels in found])
    if len(labels) != len(few):
        raise Wrong(f"an epoch should have {len(few):,} images; yours has {len(labels):,}")
    sizes = [len(labels) for _, labels in found]
    other = [size for size in sizes if size != SIZE]
    if max(sizes) > SIZE or len(other) > 1:  # one is smaller, in whatever place
        raise Wrong(f"batches of {SIZE} images were asked for; one of yours has {other[0]:,} of them")
    marks, expected = _fingerprints(images), _fingerprints(normalize(few.images))
    if not torch.allclose(marks.sort().values, expected.sort().values):
        if torch.allclose(marks.sort().values, _fingerprints(few.images).sort().values):
            raise Wrong("the images are not normalized")
        raise Wrong("some images come twice and others not at all, or they are not normalized")
    if not torch.equal(labels[marks.argsort()], few.labels[expected.argsort()]):
        raise Wrong("images and labels no longer belong together: one order for both")
    return [LabeledImages(images.float(), labels) for images, labels in found]


def _pair(batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of a batch. Raises `Wrong` where they are not."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise Wrong(f"a batch is a pair of images and labels, (…, …); one of yours is {kind(batch)}")
    images, labels = batch
    if not isinstance(labels, torch.Tensor) or labels.dim() != 1:
        raise Wrong(f"the labels of a batch must be a tensor of shape (N,); yours are {kind(labels)}")
    images = tensor(images, (len(labels), 1, 28, 28), "the images of a batch")
    return images, tensor(labels, (len(images),), "the labels of a batch").long()


def _fingerprints(images: torch.Tensor) -> torch.Tensor:
    """A number for each image, by which to know it again."""
    return (images.double().flatten(1) * torch.linspace(1, 2, 784, dtype=torch.double)).sum(dim=1)
