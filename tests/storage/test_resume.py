import contextlib
import json
import math
from dataclasses import replace

import pytest
import torch

from mnist_drill import resume, train
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.report import Result, claim, judge
from mnist_drill.train import RECIPES, Recipe, Run, evaluate, fit

RECIPE = replace(RECIPES["stage4"], epochs=3)


def trained(few, state=None, recipe=RECIPE, name="stage4", **options):
    model = build(name, 1)
    options = {"seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None} | options
    return model, fit(model, recipe, *few, name=name, state=state, **options)


def interrupted_in(monkeypatch, epoch, error=KeyboardInterrupt):
    """Training breaks off in the middle of an epoch."""
    train_epoch = train.train_epoch

    def broken(model, recipe, digits, optimizer, scheduler, averaged, number, progress):
        def bar(batches):
            for position, batch in enumerate(batches):
                if number == epoch and position == 3:
                    raise error
                yield batch

        return train_epoch(model, recipe, digits, optimizer, scheduler, averaged, number, bar)

    monkeypatch.setattr(train, "train_epoch", broken)


def rows(run):
    return [replace(row, seconds=0) for row in run.epochs]


def same(model, other):
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_an_interrupt_leaves_a_run_and_a_network_of_the_finished_epochs(few, monkeypatch, capsys):
    _, whole = trained(few)
    interrupted_in(monkeypatch, 3)
    model, run = trained(few)
    assert rows(run) == rows(whole)[:2]
    assert run.stopped == "interrupted after epoch 2"
    assert run.stopped in capsys.readouterr().out
    assert evaluate(model, few[1]).accuracy == run.last.test_accuracy
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


def test_an_interrupt_before_the_first_epoch_has_ended_is_passed_on(few, monkeypatch):
    interrupted_in(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        trained(few)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_taken_up_ends_as_what_was_never_broken_off(few, tmp_path, monkeypatch, error):
    model, whole = trained(few)
    with monkeypatch.context() as patch:
        interrupted_in(patch, 2, error)
        with contextlib.suppress(OSError):
            trained(few, tmp_path / "state")
    again, run = trained(few, tmp_path / "state")
    assert rows(run) == rows(whole)
    assert (run.stopped, run.train) == ("", whole.train)
    assert same(again, model)
    # Finished, it is there at once.
    monkeypatch.setattr(train, "train_epoch", lambda *a: pytest.fail("trained again"))
    once_more, run = trained(few, tmp_path / "state")
    assert rows(run) == rows(whole)
    assert same(once_more, model)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"recipe": replace(RECIPE, batch_size=32)}, "recipe"),
        ({"seed": 2}, "seed"),
        ({"name": "stage2"}, "network"),
    ],
)
def test_a_state_of_another_training_is_refused_and_kept(few, tmp_path, changes, named):
    trained(few, tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    with pytest.raises(DrillError, match=f"state holds a training with another {named}"):
        trained(few, tmp_path / "state", **changes)
    assert (tmp_path / "state").read_bytes() == before


def test_a_damaged_state_is_refused(few, tmp_path):
    trained(few, tmp_path / "state")
    sound = (tmp_path / "state").read_bytes()
    for content in (b"", b"text", sound[: len(sound) // 2], sound[:5000] + bytes([sound[5000] ^ 1]) + sound[5001:]):
        (tmp_path / "state").write_bytes(content)
        with pytest.raises(DrillError, match="state does not hold this training"):
            trained(few, tmp_path / "state")
    resume.write_archive(tmp_path / "state", {"format": 1, "identity": {}, "rows": []})
    with pytest.raises(DrillError, match="state does not hold this training"):
        trained(few, tmp_path / "state")


def test_a_loss_that_is_not_finite_stops_the_run_within_the_step(few, monkeypatch):
    steps = []
    step = torch.optim.lr_scheduler.LambdaLR.step
    monkeypatch.setattr(torch.optim.lr_scheduler.LambdaLR, "step", lambda self: (steps.append(1), step(self)))
    _, run = trained(few, recipe=Recipe(epochs=4, batch_size=50, learning_rate=1e30), name="stage2")
    taken = len(steps) - 1  # one is taken when the scheduler is made
    assert len(run.epochs) == 1
    assert not math.isfinite(run.last.train_loss)
    assert f"epoch 1, step {taken + 1}, at learning rate 1e+30" in run.stopped
    assert taken < 5
    # The run can be shown and judged: a learner sees a cross and no exception.
    assert repr(Result(run))
    verdicts = judge([claim("It reads {n} %", lambda run, n: run.last.test_accuracy > n, n=90)], run).verdicts
    assert verdicts[0].startswith("✗")


def test_the_weights_before_a_divergence_are_kept(few, monkeypatch):
    rate_at = train.rate_at
    monkeypatch.setattr(
        train, "rate_at", lambda recipe, progress: 1e30 if progress > 0.5 else rate_at(recipe, progress)
    )
    model, run = trained(few, recipe=Recipe(epochs=4, batch_size=50), name="stage2")
    assert len(run.epochs) == 3
    assert "epoch 3" in run.stopped
    assert evaluate(model, few[1]).accuracy == run.epochs[1].test_accuracy
