import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.recipes import OPTIMIZERS, Recipe
from mnist_drill.train import fit
from mnist_drill.training.setup import optimizer_for


def test_the_optimizer_is_the_recipes_and_only_weights_of_convolutions_decay():
    model = build("stage3", seed=1)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    assert set(kinds) == set(OPTIMIZERS)
    for name, kind in kinds.items():
        optimizer = optimizer_for(model, Recipe(optimizer=name, weight_decay=0.3))
        assert type(optimizer) is kind
        for group in optimizer.param_groups:
            assert all((p.dim() == 4) == (group["weight_decay"] == 0.3) for p in group["params"])
        assert {p for group in optimizer.param_groups for p in group["params"]} == set(model.parameters())


def test_the_fused_optimizer_steps_as_nesterov_wrote(few):
    # The fused kernel walks over memory: weights in channels-last layout must meet gradients in the same.
    model = build("stage3", seed=1).to(memory_format=torch.channels_last)
    recipe = Recipe(momentum=0.9, weight_decay=0.01)
    optimizer = optimizer_for(model, recipe)
    weights = [p.detach().clone() for p in model.parameters()]
    velocities = [torch.zeros_like(w) for w in weights]
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(normalize(few[0].images[:50])), few[0].labels[:50]).backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        for place, p in enumerate(model.parameters()):
            gradient = p.grad + (0.01 * weights[place] if p.dim() > 1 else 0)
            velocities[place] = 0.9 * velocities[place] + gradient
            weights[place] = weights[place] - 0.1 * (gradient + 0.9 * velocities[place])
        optimizer.step()
        for p, expected in zip(model.parameters(), weights, strict=True):
            assert torch.allclose(p, expected, atol=1e-6)


def of_nine(network, few, batch_size):
    recipe = Recipe(epochs=1, batch_size=batch_size)
    options = {"name": "mine", "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
    return fit(network, recipe, few[0][:9], few[1][:4], **options)


def over_one_position():
    return nn.Sequential(nn.Conv2d(1, 4, 28), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))


@pytest.mark.parametrize("batch_size", [2, 4, 8])
def test_a_last_batch_of_one_image_that_batch_norm_cannot_take_is_one_error_before_any_step(few, batch_size):
    network = over_one_position()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(DrillError, match=f"9 .*{batch_size} .*batch size"):
        of_nine(network, few, batch_size)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_last_batch_of_one_image_is_trained_where_it_can_be(few):
    assert len(of_nine(build("sprint", 1), few, 4).epochs) == 1
    assert len(of_nine(over_one_position(), few, 7).epochs) == 1
