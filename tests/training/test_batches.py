from dataclasses import replace

import pytest
import torch

from mnist_drill.data import normalize
from mnist_drill.models import build
from mnist_drill.recipes import STAGE4, Augmentation
from mnist_drill.train import fit
from mnist_drill.training.batches import shuffled_batches

SHORT = replace(STAGE4, epochs=2, batch_size=64)  # eight steps in an epoch of 500 images


def trained(few, recipe=SHORT):
    return fit(build("stage4", 1), recipe, *few, name="stage4", seed=1, device="cpu", progress=False)


def test_batches_hold_every_normalized_image_once_with_its_label(few):
    train_set, _ = few
    torch.manual_seed(1)
    batches = list(shuffled_batches(train_set, 96))
    assert [len(labels) for _, labels in batches] == [96] * 5 + [20]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    torch.manual_seed(1)
    order = torch.randperm(500)
    assert torch.equal(images, normalize(train_set.images[order]))
    assert torch.equal(labels, train_set.labels[order])


def test_a_transform_is_given_the_images_before_they_are_normalized(few):
    for images, _ in shuffled_batches(few[0], 100, lambda images: torch.full_like(images, images.min().item())):
        assert torch.equal(images, normalize(torch.zeros(100, 1, 28, 28)))


def test_the_order_changes_from_epoch_to_epoch(few, monkeypatch):
    seen = []

    def note(images, augmentation):
        seen.append(images.sum().item())
        return images

    monkeypatch.setattr("mnist_drill.training.setup.augment", note)
    trained(few)
    assert len(seen) == 16
    assert seen[:8] != seen[8:]


def test_training_is_augmented_and_evaluation_is_not(few, monkeypatch):
    drawn = []

    def note(images, augmentation):
        drawn.append((len(images), augmentation))
        return images

    monkeypatch.setattr("mnist_drill.training.setup.augment", note)
    trained(few, replace(SHORT, augmentation_annealing=0.0))
    assert sum(size for size, _ in drawn) == 2 * len(few[0])
    assert {augmentation for _, augmentation in drawn} == {SHORT.augmentation}


def test_augmentation_is_annealed_from_the_first_epoch_to_the_last(few, monkeypatch):
    ranges = []

    def note(images, augmentation):
        ranges.append(augmentation.rotation)
        return images

    monkeypatch.setattr("mnist_drill.training.setup.augment", note)
    annealed = {"augmentation": Augmentation(rotation=10), "augmentation_annealing": 0.6}
    trained(few, replace(SHORT, epochs=3, batch_size=500, **annealed))
    assert ranges == pytest.approx([10, 7, 4])
