from dataclasses import replace

import pytest
import torch
import torchvision

from mnist_drill import data
from mnist_drill.data import LabeledImages
from mnist_drill.storage.mnist import data_folder


def test_the_images_and_their_labels(mnist):
    train_set, test_set = mnist
    assert (train_set.images.shape, test_set.images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train_set.images.dtype == torch.float32
    assert (train_set.images.min(), train_set.images.max()) == (0, 1)
    assert train_set.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test_set.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_torchvision_reads_the_folder_and_finds_the_same(mnist):
    for part, dataset in zip((True, False), mnist, strict=True):
        theirs = torchvision.datasets.MNIST(data_folder(), train=part, download=False)
        assert torch.equal(theirs.data.unsqueeze(1).float() / 255, dataset.images)
        assert torch.equal(theirs.targets, dataset.labels)


def test_split_is_fixed_stratified_and_disjoint(mnist):
    train_set, _ = mnist
    numbered = LabeledImages(torch.arange(60_000).view(-1, 1, 1, 1), train_set.labels)
    train_split, validation_set = data.split(numbered)
    assert (len(train_split), len(validation_set)) == (50_000, 10_000)
    together = torch.cat([train_split.images, validation_set.images]).flatten()
    assert torch.equal(together.sort().values, torch.arange(60_000))
    share = validation_set.labels.bincount() - train_set.labels.bincount() / 6
    assert share.abs().max() < 1
    assert validation_set.images.flatten()[:5].tolist() == [1, 10, 16, 18, 20]
    assert int(validation_set.images.sum()) == 300_005_479


def test_normalized_training_images_have_mean_0_and_deviation_1(mnist):
    normalized = data.normalize(mnist[0].images)
    assert abs(normalized.mean()) < 1e-3
    assert abs(normalized.std() - 1) < 1e-3


def test_grey_values_are_whole_numbers_from_0_to_255():
    values = torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8)
    images = data.from_grey(values)
    assert (images.dtype, images.min(), images.max()) == (torch.float32, 0, 1)
    assert torch.equal(data.to_grey(images), values)
    assert data.to_grey(torch.tensor([0.4 / 255, 0.6 / 255])).tolist() == [0, 1]
    assert data.to_grey(images.transpose(2, 3)).is_contiguous()


def with_a_pixel_one_grey_value_brighter(dataset):
    images = dataset.images.clone()
    images[77, 0, 14, 14] += (1 if images[77, 0, 14, 14] < 1 else -1) / 255
    return replace(dataset, images=images)


def with_another_label(dataset):
    labels = dataset.labels.clone()
    labels[77] = (labels[77] + 1) % 10
    return replace(dataset, labels=labels)


@pytest.mark.parametrize(
    "change",
    [
        with_a_pixel_one_grey_value_brighter,
        with_another_label,
        lambda dataset: dataset[torch.arange(499, -1, -1)],
        lambda dataset: dataset[:499],
    ],
    ids=["one pixel by one grey value", "one label", "the order", "one image fewer"],
)
def test_the_checksum_tells_datasets_apart(few, change):
    train_set, test_set = few
    assert data.checksum(train_set, test_set) == data.checksum(train_set[:], test_set[:])
    assert data.checksum(change(train_set), test_set) != data.checksum(train_set, test_set)
    assert data.checksum(train_set, change(test_set)) != data.checksum(train_set, test_set)


def test_the_checksum_tells_the_split_from_the_whole_and_the_sets_from_each_other(mnist):
    train_set, test_set = mnist
    train_split, validation_set = data.split(train_set)
    pairs = [(train_set, test_set), (test_set, train_set), (train_split, validation_set), (train_split, test_set)]
    assert len({data.checksum(*pair) for pair in pairs}) == len(pairs)
