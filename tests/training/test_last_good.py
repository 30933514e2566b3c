"""What stays of a training that ends early, because of an interrupt or of a loss that is not finite."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mnist_drill.course.claims import claim, judge
from mnist_drill.course.tables import Result
from mnist_drill.models import build
from mnist_drill.recipes import STAGE4, Recipe
from mnist_drill.runs import Run
from mnist_drill.train import evaluate, fit, train_epoch
from mnist_drill.training import setup
from mnist_drill.training.hooks import FiniteLoss
from mnist_drill.training.setup import prepare
from tests.comparing import without_seconds
from tests.training.interrupts import interrupted_in

RECIPE = replace(STAGE4, epochs=3, batch_size=64)  # eight steps in an epoch of 500 images


def trained(few, recipe=RECIPE, name="stage4"):
    model = build(name, 1)
    options = {"name": name, "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
    return model, fit(model, recipe, *few, **options)


def test_an_interrupt_leaves_a_run_and_a_network_of_the_finished_epochs(few, monkeypatch, capsys):
    _, whole = trained(few)
    interrupted_in(monkeypatch, 3)
    model, run = trained(few)
    assert without_seconds(run) == without_seconds(whole)[:2]
    assert run.stopped == "interrupted after epoch 2"
    assert run.interrupted
    assert run.stopped in capsys.readouterr().out
    assert evaluate(model, few[1]).accuracy == run.last.test_accuracy
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


def test_an_interrupt_before_the_first_epoch_has_ended_is_passed_on(few, monkeypatch):
    interrupted_in(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        trained(few)


def test_another_error_is_passed_on(few, monkeypatch):
    interrupted_in(monkeypatch, 2, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        trained(few)


def test_a_loss_that_is_not_finite_stops_the_run_within_the_step(few, monkeypatch):
    steps = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self, closure=None: (steps.append(1), step(self, closure))[1])
    _, run = trained(few, recipe=Recipe(epochs=4, batch_size=50, learning_rate=1e30), name="stage2")
    assert len(run.epochs) == 1
    assert not math.isfinite(run.last.train_loss)
    # The step whose loss it was is the last one that was taken.
    assert f"epoch 1, step {len(steps)}, at learning rate 1e+30" in run.stopped
    assert len(steps) < 6
    assert not run.interrupted
    # The run can be shown and judged: a learner sees a cross and no exception.
    assert repr(Result(run))
    verdicts = judge([claim("It reaches {n} %", lambda run, n: run.last.test_accuracy > n, n=90)], run).verdicts
    assert verdicts[0].startswith("✗")


def test_the_weights_before_a_divergence_are_kept(few, monkeypatch):
    learning_rate_at = Recipe.learning_rate_at
    monkeypatch.setattr(Recipe, "learning_rate_at", lambda recipe, p: 1e30 if p > 0.5 else learning_rate_at(recipe, p))
    model, run = trained(few, recipe=Recipe(epochs=4, batch_size=50), name="stage2")
    assert len(run.epochs) == 3
    assert "epoch 3, step 3, at learning rate 1e+30" in run.stopped  # the second step made the weights too large
    assert evaluate(model, few[1]).accuracy == run.epochs[1].test_accuracy


def test_losses_that_are_read_at_the_end_of_an_epoch_name_the_same_step(few, monkeypatch):
    learning_rate_at = Recipe.learning_rate_at
    monkeypatch.setattr(Recipe, "learning_rate_at", lambda recipe, p: 1e30 if p > 0.5 else learning_rate_at(recipe, p))
    faults = {}
    for at_once in (True, False):
        monkeypatch.setattr(setup, "FiniteLoss", lambda optimizer, at_once=at_once: FiniteLoss(optimizer, at_once))
        model, run = trained(few, recipe=Recipe(epochs=4, batch_size=50), name="stage2")
        assert len(run.epochs) == 3
        assert evaluate(model, few[1]).accuracy == run.epochs[1].test_accuracy
        faults[at_once] = run.stopped
    assert re.sub("loss .* in", "", faults[True]) == re.sub("loss .* in", "", faults[False])


class HostWaits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: values that it reads, and sizes that depend on values."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_an_epoch_of_more_steps_makes_the_host_wait_no_more_often(few):
    def waits(batch_size, *hooks):
        training = prepare(build("stage4", 1), replace(RECIPE, batch_size=batch_size), few[0], 1, progress=False)
        training.loss_check.at_once = False
        with HostWaits() as host:
            train_epoch(training.model, training.batches(1), training.optimizer, [*training.after_step, *hooks])
        return host.count

    assert waits(100) == waits(10) <= 2  # for the loss and the accuracy of the epoch
    assert waits(10, torch.Tensor.item) == waits(10) + 50
