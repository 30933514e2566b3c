"""What happens after each step: the schedule and the EMA of the weights, as seen from the optimizer's steps."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.models import build
from mnist_drill.recipes import STAGE4
from mnist_drill.train import evaluate, fit

SHORT = replace(STAGE4, epochs=2, batch_size=64)  # eight steps in an epoch of 500 images


def trained(few, recipe=SHORT):
    model = build("stage4", 1)
    return model, fit(model, recipe, *few, name="stage4", seed=1, device="cpu", progress=False)


def test_the_optimizer_follows_the_schedule(few, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def note(optimizer, closure=None):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", note)
    trained(few)
    assert rates == pytest.approx([SHORT.learning_rate_at(k / 16) for k in range(16)])


@pytest.fixture
def weights(monkeypatch):
    """Those of the first convolution, after each step of SGD."""
    after = []
    step = torch.optim.SGD.step

    def note(optimizer, closure=None):
        step(optimizer, closure)
        after.append(optimizer.param_groups[0]["params"][0].detach().clone())

    monkeypatch.setattr(torch.optim.SGD, "step", note)
    return after


def test_the_ema_of_the_weights_is_evaluated_and_returned(few, weights):
    model, run = trained(few, replace(SHORT, ema_decay=0.9, batch_size=20))  # 25 steps in each of two epochs
    sampled = [weights[epoch + step] for epoch in (0, 25) for step in (0, 8, 16, 24)]
    expected = sampled[0]
    for new in sampled[1:]:
        expected = expected + (1 - 0.9**8) * (new - expected)
    assert torch.allclose(next(model.parameters()), expected, atol=1e-5)
    assert evaluate(model, few[1]).loss == run.last.test_loss


def test_without_an_ema_the_weights_themselves_are_evaluated_and_returned(few, weights):
    model, run = trained(few, replace(SHORT, ema_decay=0.0))
    assert torch.equal(next(model.parameters()), weights[-1])
    assert evaluate(model, few[1]).loss == run.last.test_loss


def test_averaged_weights_have_batch_norm_statistics_of_images_without_augmentation(few):
    model, _ = trained(few, replace(SHORT, ema_decay=0.9))
    convolution, norm = model[0][:2]
    with torch.no_grad():
        maps = convolution(normalize(few[0].images))
    assert torch.allclose(norm.running_var, maps.var(dim=(0, 2, 3)), rtol=0.01)


class Frozen(nn.Sequential):
    """A network whose first layer, batch norm, stays in evaluation mode."""

    def train(self, mode=True):
        super().train(mode)
        self[0].eval()
        return self


def test_averaged_weights_keep_the_statistics_of_frozen_batch_norm(few):
    model = Frozen(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(784, 10))
    model[0].running_mean.fill_(0.5)
    model[0].running_var.fill_(4.0)
    recipe = replace(SHORT, learning_rate=0.01, ema_decay=0.9)
    fit(model, recipe, *few, name="frozen", seed=1, device="cpu", progress=False)
    assert (model[0].running_mean == 0.5).all()
    assert (model[0].running_var == 4.0).all()
