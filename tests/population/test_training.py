"""What a member is given: its order, its augmented images, its weight decay, as a training alone has them."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from mnist_drill.augment import augment
from mnist_drill.networks import seeded, stage4
from mnist_drill.population.fit import train_epoch_of_members
from mnist_drill.population.training import MemberLosses, member_batches, prepare_population
from mnist_drill.recipes import STAGE4, Augmentation, Recipe
from mnist_drill.training.batches import shuffled_batches
from mnist_drill.training.setup import optimizer_for
from tests.training.test_last_good import HostWaits

SEEDS = (5, 3)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(cutout=8),
        Augmentation(rotation=30, translation=4, scale=0.3, shear=20),
        Augmentation(rotation=10, cutout=6),
    ],
    ids=str,
)
def test_each_member_has_the_batches_that_it_has_alone(few, augmentation):
    train_set = few[0][:100]
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    epochs = [list(member_batches(train_set, 30, augmentation, generators)) for _ in range(2)]
    for member, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        for epoch in epochs:
            alone = list(shuffled_batches(train_set, 30, partial(augment, augmentation=augmentation)))
            assert [labels.shape for _, labels in epoch] == [(30, 2)] * 3 + [(10, 2)]
            for (images, labels), (images_alone, labels_alone) in zip(epoch, alone, strict=True):
                assert images.shape == (len(labels), 2, 28, 28)
                assert torch.equal(labels[:, member], labels_alone)
                assert torch.allclose(images[:, member : member + 1], images_alone, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_same_parameters_decay_as_alone(few, optimizer):
    def network():
        return nn.Sequential(nn.Conv2d(1, 4, 28), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))

    networks = [seeded(network, seed) for seed in SEEDS]
    recipe = Recipe(optimizer=optimizer, weight_decay=0.3)
    groups = prepare_population(networks, recipe, few[0], SEEDS, False).optimizer.param_groups
    alone = optimizer_for(networks[0], recipe).param_groups
    assert [group["weight_decay"] for group in groups] == [group["weight_decay"] for group in alone] == [0.3, 0.0]
    for group, group_alone in zip(groups, alone, strict=True):
        shapes = [p.shape for p in group["params"]]
        assert shapes == [(len(SEEDS) * p.shape[0], *p.shape[1:]) for p in group_alone["params"]]


def test_the_first_loss_of_a_member_that_is_not_finite_is_named():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    losses = MemberLosses(optimizer, 3)
    for epoch in ([[1, 1, 1], [1, torch.nan, 1], [1, 2, 1]], [[1, 1, 1], [1, 1, torch.inf]]):
        for values in losses.until_not_finite(epoch):
            losses(torch.tensor(values, dtype=torch.float32))
    assert losses.faults[0] == ""
    assert losses.faults[1].startswith("step 2, at learning rate 0.5")
    assert losses.faults[2].startswith("step 2, at learning rate 0.5")
    assert len(losses.checks[1].learning_rates) == 3  # those of the first epoch


def test_an_epoch_of_more_steps_makes_the_host_wait_no_more_often(few):
    def waits(batch_size, *hooks):
        recipe = replace(STAGE4, batch_size=batch_size)
        networks = [seeded(stage4, seed) for seed in SEEDS]
        training = prepare_population(networks, recipe, few[0][:60], SEEDS, progress=False)
        with HostWaits() as host:
            batches = training.batches(1)
            train_epoch_of_members(training.model, batches, training.optimizer, [*training.after_step, *hooks])
        return host.count

    assert waits(30) == waits(10) <= 2
    assert waits(10, lambda losses: losses[0].item()) == waits(10) + 6
