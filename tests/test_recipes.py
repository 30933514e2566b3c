import re
from dataclasses import fields

import pytest

from mnist_drill.recipes import RANGES, STAGE4, Augmentation, Recipe, StepDecay, WarmupCosine


def test_the_learning_rate_warms_up_anneals_and_stays_constant():
    schedule = WarmupCosine(initial=0.1, warmup=0.25, annealed=0.75, final=0.01)
    recipe = Recipe(learning_rate=0.5, schedule=schedule)
    rates = [recipe.learning_rate_at(step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == rates[25] == pytest.approx(0.5)
    assert rates[50] == pytest.approx(0.5 * (1 + 0.01) / 2)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert set(rates[75:]) == {0.005}
    assert {Recipe(learning_rate=0.3).learning_rate_at(step / 10) for step in range(10)} == {0.3}


def test_step_decay_multiplies_at_the_end_of_each_interval():
    recipe = Recipe(learning_rate=0.5, schedule=StepDecay(every=0.4, gamma=0.1))
    rates = [recipe.learning_rate_at(step / 10) for step in range(10)]
    assert rates == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)
    tenths = Recipe(learning_rate=1.0, schedule=StepDecay(every=0.1, gamma=0.5))
    assert [tenths.learning_rate_at(step / 10) for step in range(10)] == [0.5**step for step in range(10)]


def test_augmentation_is_annealed_from_the_first_epoch_to_the_last():
    recipe = Recipe(epochs=3, augmentation=Augmentation(rotation=10), augmentation_annealing=0.6)
    assert [recipe.augmentation_at(epoch).rotation for epoch in (1, 2, 3)] == pytest.approx([10, 7, 4])
    assert STAGE4.with_epochs(1).augmentation_at(1) == STAGE4.augmentation
    constant = Recipe(epochs=3, augmentation=Augmentation(rotation=10))
    assert {constant.augmentation_at(epoch) for epoch in (1, 2, 3)} == {constant.augmentation}


def test_every_range_shrinks():
    full = Augmentation(rotation=10, translation=2, scale=0.1, shear=5, cutout=6)
    assert full.shrunk(0) == full
    assert full.shrunk(0.5) == Augmentation(rotation=5, translation=1, scale=0.05, shear=2.5, cutout=3)
    assert full.shrunk(1) == Augmentation()


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Recipe, {"epochs": 0}, "epochs = 0 is not in its range, from 1 to 1e+300"),
        (Recipe, {"batch_size": 1}, "batch_size = 1 is not in its range, from 2 to 60,000"),
        (Recipe, {"batch_size": 60_001}, "batch_size = 60001 "),
        (Recipe, {"learning_rate": 0}, "learning_rate = 0 is not in its range, above 0 to 1e+300"),
        (Recipe, {"learning_rate": -0.1}, "learning_rate = -0.1 "),
        (Recipe, {"learning_rate": float("inf")}, "learning_rate = inf "),
        (Recipe, {"learning_rate": 10**400}, "learning_rate = 1000"),
        (Recipe, {"momentum": 1.0}, "momentum = 1.0 is not in its range, from 0 to below 1"),
        (Recipe, {"weight_decay": float("nan")}, "weight_decay = nan "),
        (Recipe, {"augmentation_annealing": 1.5}, "augmentation_annealing = 1.5 is not in its range, from 0 to 1"),
        (Recipe, {"ema_decay": 1.0}, "ema_decay = 1.0 is not in its range, from 0 to below 1"),
        (Recipe, {"optimizer": "rmsprop"}, "unknown optimizer 'rmsprop': choose one of sgd, adam, adamw"),
        (Augmentation, {"rotation": -1}, "rotation = -1 "),
        (Augmentation, {"scale": 1.0}, "scale = 1.0 is not in its range, from 0 to below 1"),
        (Augmentation, {"shear": 90}, "shear = 90 "),
        (Augmentation, {"cutout": 29}, "cutout = 29 is not in its range, from 0 to 28"),
        (WarmupCosine, {"annealed": 1.1}, "annealed = 1.1 "),
        (WarmupCosine, {"warmup": 0.8}, "a schedule anneals after its warmup: annealed = 0.75, warmup = 0.8"),
        (StepDecay, {"every": 0}, "every = 0 is not in its range, from 0.001 to 1"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(kind, wrong, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        kind(**wrong)


def test_every_setting_that_is_a_number_has_a_range():
    settings = [
        (field.name, field.type) for kind in (Recipe, WarmupCosine, StepDecay, Augmentation) for field in fields(kind)
    ]
    assert [name for name, type_ in settings if type_ in (int, float)] == list(RANGES)
