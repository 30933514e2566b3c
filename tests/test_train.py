import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mnist_drill.augment import Augmentation
from mnist_drill.data import Digits, normalize
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.train import (
    RECIPES,
    OneCycle,
    Recipe,
    Run,
    Steps,
    augmentation_at,
    confusion_matrix,
    evaluate,
    fit,
    optimizer_for,
    predict,
    rate_at,
)

SHORT = replace(RECIPES["stage4"], epochs=2)


def trained(few, recipe=SHORT, seed=1, name="stage4", test=None):
    model = build(name, seed)
    run = fit(model, recipe, few[0], test or few[1], name=name, seed=seed, device="cpu", progress=False)
    return model, run


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def without_seconds(run):
    return [replace(row, seconds=0) for row in run.epochs]


def test_the_same_seed_gives_the_same_run_bit_for_bit(few):
    (model, run), (again, run_again), (other, _) = trained(few), trained(few), trained(few, seed=2)
    assert same_weights(model, again)
    assert without_seconds(run) == without_seconds(run_again)
    assert not same_weights(model, other)


def test_the_test_digits_are_only_reported(few):
    recipe = replace(SHORT, epochs=3)
    model, run = trained(few, recipe)
    # With wrong labels another epoch would be the best, so nothing may have been stopped or kept for the test's sake.
    wrong = Digits(few[1].images, (few[1].labels + 1) % 10)
    again, run_again = trained(few, recipe, test=wrong)
    assert same_weights(model, again)
    assert [row.train_loss for row in run.epochs] == [row.train_loss for row in run_again.epochs]
    assert [row.test_loss for row in run.epochs] != [row.test_loss for row in run_again.epochs]


def test_the_run_says_what_was_done(few):
    model, run = trained(few)
    assert (run.name, run.parameters, run.seed, run.recipe) == ("stage4", 9_904, 1, SHORT)
    assert [row.epoch for row in run.epochs] == [1, 2]
    assert run.environment["torch"] == torch.__version__
    assert run.environment["device"] == "cpu"
    assert run.environment["threads"] == torch.get_num_threads()
    assert run.environment["hardware"]
    score = evaluate(model, few[1])
    assert (run.last.test_loss, run.last.test_accuracy) == (score.loss, score.accuracy)
    assert run.train == evaluate(model, few[0])
    assert run.gap == run.train.accuracy - score.accuracy
    assert run.seconds == sum(row.seconds for row in run.epochs)


def test_every_digit_is_seen_once_in_an_epoch(few):
    # At rate 0 the network stays as it is, so the running score must be the score on all digits, last batch included.
    still = Recipe(epochs=1, batch_size=96, learning_rate=0.0, bfloat16=False)
    model, run = trained(few, still, name="stage2")
    score = evaluate(model, few[0])
    assert run.last.train_loss == pytest.approx(score.loss, rel=1e-5)
    assert run.last.train_accuracy == pytest.approx(score.accuracy)


def test_the_order_changes_from_epoch_to_epoch(few, monkeypatch):
    seen = []

    def note(images, augmentation):
        seen.append(images.sum().item())
        return images

    monkeypatch.setattr("mnist_drill.train.augment", note)
    trained(few)
    assert seen[:8] != seen[8:]


def test_training_is_augmented_and_testing_is_not(few, monkeypatch):
    drawn = []

    def note(images, augmentation):
        drawn.append((len(images), augmentation))
        return images

    monkeypatch.setattr("mnist_drill.train.augment", note)
    trained(few, replace(SHORT, taper=0.0))
    assert sum(size for size, _ in drawn) == 2 * len(few[0])
    assert {augmentation for _, augmentation in drawn} == {SHORT.augmentation}


def test_augmentation_shrinks_from_the_first_epoch_to_the_last(few, monkeypatch):
    ranges = []
    monkeypatch.setattr("mnist_drill.train.augment", lambda images, a: (ranges.append(a.rotation), images)[1])
    trained(few, replace(SHORT, epochs=3, batch_size=500, augmentation=Augmentation(rotation=10), taper=0.6))
    assert ranges == pytest.approx([10, 7, 4])
    assert augmentation_at(replace(SHORT, epochs=1, taper=0.6), 1) == SHORT.augmentation
    with pytest.raises(ValueError, match="taper"):
        Recipe(taper=1.5)


def test_it_learns(few):
    _, run = trained(few, Recipe(epochs=8, learning_rate=0.1, batch_size=32), name="stage3")
    assert run.last.test_accuracy > 50  # a tenth is chance; what it reaches depends on the machine
    assert run.last.train_loss < run.epochs[0].train_loss / 2


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


def test_confusion_matrix_has_labels_in_rows(few):
    model = build("stage2", seed=1)
    counts = confusion_matrix(model, few[1])
    assert torch.equal(counts.sum(dim=1), few[1].labels.bincount(minlength=10))
    assert torch.equal(counts.sum(dim=0), predict(model, few[1]).argmax(1).bincount(minlength=10))


def test_a_run_survives_json(few, tmp_path):
    _, run = trained(few)
    run.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == run
    _, constant = trained(few, Recipe(epochs=1, augmentation=Augmentation(cutout=4)), name="stage2")
    constant.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == constant
    values = json.loads((tmp_path / "run.json").read_text())
    assert {"name", "parameters", "seed", "recipe", "environment", "epochs"} <= set(values)
    assert {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"} <= set(
        values["epochs"][0]
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 1, "recipe": {}}', "not json", "null"])
def test_what_is_not_a_run_is_refused(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DrillError, match=r"run\.json"):
        Run.load(tmp_path / "run.json")


def test_lowest_of_the_last_epochs(few):
    _, run = trained(few)
    rows = tuple(replace(run.last, epoch=i, test_accuracy=float(a)) for i, a in enumerate([10, 50, 40, 45, 60], 1))
    run = replace(run, epochs=rows)
    assert run.lowest_of_last(3) == 40
    assert run.lowest_of_last(5) == 10
    assert (run.best_test, run.last.test_accuracy) == (60, 60)
    assert not run.lowest_of_last(6) >= 0  # too few epochs: not a number, and no claim about it holds


def test_the_schedule_rises_falls_and_stays():
    recipe = Recipe(learning_rate=0.5, schedule=OneCycle(start=0.1, peak_at=0.25, end_at=0.75, end=0.01))
    rates = [rate_at(recipe, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == rates[25] == pytest.approx(0.5)
    assert rates[50] == pytest.approx(0.5 * (1 + 0.01) / 2)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert set(rates[75:]) == {0.005}
    assert {rate_at(Recipe(learning_rate=0.3), step / 10) for step in range(10)} == {0.3}


def test_steps_fall_at_the_end_of_each_share():
    recipe = Recipe(learning_rate=0.5, schedule=Steps(every=0.4, by=0.1))
    assert [rate_at(recipe, step / 10) for step in range(10)] == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)
    tenths = Recipe(learning_rate=1.0, schedule=Steps(every=0.1, by=0.5))
    assert [rate_at(tenths, step / 10) for step in range(10)] == [0.5**step for step in range(10)]


def test_the_optimizer_is_the_recipes_and_only_weights_of_convolutions_decay():
    model = build("stage3", seed=1)
    for name, kind in {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.items():
        optimizer = optimizer_for(model, Recipe(optimizer=name, weight_decay=0.3))
        assert type(optimizer) is kind
        for group in optimizer.param_groups:
            assert all((p.dim() == 4) == (group["weight_decay"] == 0.3) for p in group["params"])
        assert {p for group in optimizer.param_groups for p in group["params"]} == set(model.parameters())
    with pytest.raises(ValueError, match=r"'rmsprop'.*sgd, adam, adamw"):
        Recipe(optimizer="rmsprop")


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_it_learns_with_other_optimizers(few, optimizer):
    recipe = Recipe(epochs=8, learning_rate=0.01, batch_size=32, optimizer=optimizer, schedule=Steps(every=0.5))
    _, run = trained(few, recipe, name="stage3")
    assert run.last.test_accuracy > 50
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


def test_the_fused_optimizer_steps_as_nesterov_wrote(few):
    # The fused kernel walks over memory: weights in channels-last layout must meet gradients in the same.
    model = build("stage3", seed=1).to(memory_format=torch.channels_last)
    recipe = Recipe(momentum=0.9, weight_decay=0.01)
    optimizer = optimizer_for(model, recipe)
    weights = [p.detach().clone() for p in model.parameters()]
    speeds = [torch.zeros_like(w) for w in weights]
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(normalize(few[0].images[:50])), few[0].labels[:50]).backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        for place, p in enumerate(model.parameters()):
            gradient = p.grad + (0.01 * weights[place] if p.dim() > 1 else 0)
            speeds[place] = 0.9 * speeds[place] + gradient
            weights[place] = weights[place] - 0.1 * (gradient + 0.9 * speeds[place])
        optimizer.step()
        for p, expected in zip(model.parameters(), weights, strict=True):
            assert torch.allclose(p, expected, atol=1e-6)


def test_the_optimizer_follows_the_schedule(few, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def note(optimizer, closure=None):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", note)
    trained(few)
    assert rates == pytest.approx([rate_at(SHORT, k / 16) for k in range(16)])


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


def test_the_average_of_the_weights_is_tested_and_returned(few, weights):
    model, run = trained(few, replace(SHORT, averaging=0.9, batch_size=20))  # 25 steps in each of two epochs
    sampled = [weights[epoch + step] for epoch in (0, 25) for step in (0, 8, 16, 24)]
    expected = sampled[0]
    for new in sampled[1:]:
        expected = expected + (1 - 0.9**8) * (new - expected)
    assert torch.allclose(next(model.parameters()), expected, atol=1e-5)
    assert evaluate(model, few[1]).loss == run.last.test_loss


def test_without_averaging_the_weights_themselves_are_tested_and_returned(few, weights):
    model, run = trained(few, replace(SHORT, averaging=0.0))
    assert torch.equal(next(model.parameters()), weights[-1])
    assert evaluate(model, few[1]).loss == run.last.test_loss


def test_averaged_weights_have_batch_norm_statistics_of_plain_digits(few):
    model, _ = trained(few, replace(SHORT, averaging=0.9))
    convolution, norm = model[0][:2]
    with torch.no_grad():
        maps = convolution(normalize(few[0].images))
    assert torch.allclose(norm.running_var, maps.var(dim=(0, 2, 3)), rtol=0.01)


def test_a_device_that_is_not_there_is_an_error(few):
    with pytest.raises(DrillError, match=r"'tpu' is not available.*cpu"):
        fit(build("stage2"), SHORT, *few, name="stage2", seed=1, device="tpu")
