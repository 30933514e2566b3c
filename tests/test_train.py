from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mnist_drill import data
from mnist_drill.data import LabeledImages, normalize
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.networks import definition
from mnist_drill.recipes import STAGE4, Recipe, StepDecay
from mnist_drill.runs import Score
from mnist_drill.train import evaluate, fit, predict, train_epoch
from tests.comparing import same_weights, without_seconds

SHORT = STAGE4.with_epochs(2)


def trained(few, recipe=SHORT, seed=1, name="stage4", test_set=None):
    model = build(name, seed)
    run = fit(model, recipe, few[0], test_set or few[1], name=name, seed=seed, device="cpu", progress=False)
    return model, run


def test_a_loop_of_ones_own_trains_in_place_of_the_packages(few):
    seen = []

    def my_loop(model, batches, optimizer, after_step=()):
        seen.append(optimizer)
        return train_epoch(model, batches, optimizer, after_step)

    model, mine = build("stage4", 1), build("stage4", 1)
    options = {"name": "stage4", "seed": 1, "progress": False}
    run = fit(model, SHORT, *few, **options)
    assert without_seconds(fit(mine, SHORT, *few, **options, loop=my_loop)) == without_seconds(run)
    assert len(seen) == SHORT.epochs
    assert same_weights(model, mine)
    score = run.epochs[0]
    idle = fit(build("stage4", 1), SHORT, *few, **options, loop=lambda *_: Score(score.train_loss, 12.0))
    assert [row.train_accuracy for row in idle.epochs] == [12.0] * SHORT.epochs


def test_the_same_seed_gives_the_same_run_bit_for_bit(few):
    (model, run), (again, run_again), (other, _) = trained(few), trained(few), trained(few, seed=2)
    assert same_weights(model, again)
    assert without_seconds(run) == without_seconds(run_again)
    assert not same_weights(model, other)


def test_the_test_set_is_only_reported(few):
    recipe = replace(SHORT, epochs=3)
    model, run = trained(few, recipe)
    # With wrong labels another epoch would be the best, so nothing may have been stopped or kept for the test's sake.
    wrong = LabeledImages(few[1].images, (few[1].labels + 1) % 10)
    again, run_again = trained(few, recipe, test_set=wrong)
    assert same_weights(model, again)
    assert [row.train_loss for row in run.epochs] == [row.train_loss for row in run_again.epochs]
    assert [row.test_loss for row in run.epochs] != [row.test_loss for row in run_again.epochs]


def test_the_run_says_what_was_done(few):
    model, run = trained(few)
    assert (run.name, run.parameters, run.seed, run.recipe) == ("stage4", 9_904, 1, SHORT)
    assert (run.network, run.data) == (definition(build("stage4")), data.checksum(*few))
    assert [row.epoch for row in run.epochs] == [1, 2]
    assert run.environment["torch"] == torch.__version__
    assert run.environment["device"] == "cpu"
    assert run.environment["threads"] == torch.get_num_threads()
    assert run.environment["hardware"]
    assert run.environment["precision"] in ("float32", "bfloat16")
    score = evaluate(model, few[1])
    assert (run.last.test_loss, run.last.test_accuracy) == (score.loss, score.accuracy)
    assert run.train_score == evaluate(model, few[0])
    assert run.generalization_gap == run.train_score.accuracy - score.accuracy
    assert run.seconds == sum(row.seconds for row in run.epochs)


def test_every_image_is_seen_once_in_an_epoch(few):
    # At so small a learning rate the network stays as it is, so the running score must be the score on all images, the
    # last batch included.
    still = Recipe(epochs=1, batch_size=96, learning_rate=1e-30, mixed_precision=False)
    model, run = trained(few, still, name="stage2")
    score = evaluate(model, few[0])
    assert run.last.train_loss == pytest.approx(score.loss, rel=1e-5)
    assert run.last.train_accuracy == pytest.approx(score.accuracy)


def test_it_learns(few):
    _, run = trained(few, Recipe(epochs=8, learning_rate=0.1, batch_size=32), name="stage3")
    assert run.last.test_accuracy > 50  # a tenth is chance; what it reaches depends on the machine
    assert run.last.train_loss < run.epochs[0].train_loss / 2


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_it_learns_with_other_optimizers(few, optimizer):
    recipe = Recipe(epochs=8, learning_rate=0.01, batch_size=32, optimizer=optimizer, schedule=StepDecay(every=0.5))
    _, run = trained(few, recipe, name="stage3")
    assert run.last.test_accuracy > 50


def test_evaluation_has_neither_dropout_nor_batch_statistics(few):
    model = build("stage3", seed=1, dropout=0.5).train()
    state = torch.get_rng_state()
    logits = predict(model, few[1], batch_size=7)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        expected = model.eval()(normalize(few[1].images))
    assert torch.allclose(logits, expected, atol=1e-5)
    score = evaluate(model, few[1])
    assert score.loss == pytest.approx(F.cross_entropy(expected, few[1].labels).item(), rel=1e-4)
    assert score.accuracy == pytest.approx(100 * (expected.argmax(1) == few[1].labels).double().mean().item())


def test_a_device_that_is_not_there_is_an_error(few):
    with pytest.raises(DrillError, match=r"'tpu' is not available.*cpu"):
        fit(build("stage2"), SHORT, *few, name="stage2", seed=1, device="tpu")
