"""The same seed gives the same weights as before, bit for bit, so that the stored evidence stays valid."""

import pytest
import torch

from mnist_drill.models import build, recipe_for
from mnist_drill.stages import NETWORKS
from mnist_drill.train import fit
from tests.earlier_loop import earlier_fit

IMAGES = 400  # a multiple of no batch size, so that the last batch is incomplete; nor are 8 steps an epoch of stage 4


@pytest.mark.parametrize("name", [*NETWORKS, "shufflenet_v2_x0_5"])
def test_two_epochs_end_at_the_weights_of_the_earlier_loop(few, name):
    train_set, test_set = few[0][:IMAGES], few[1]
    recipe = recipe_for(name).with_epochs(2)
    assert IMAGES % recipe.batch_size
    ours, earlier = build(name, 7), build(name, 7)
    run = fit(ours, recipe, train_set, test_set, name=name, seed=3, device="cpu", progress=False)
    scores = earlier_fit(earlier, recipe, train_set.images, train_set.labels, seed=3)
    assert [(row.train_loss, row.train_accuracy) for row in run.epochs] == scores
    state = earlier.state_dict()
    assert list(ours.state_dict()) == list(state)
    different = [key for key, value in ours.state_dict().items() if not torch.equal(value, state[key])]
    assert different == []
