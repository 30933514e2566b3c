import pytest

from mnist_drill.recipes import STAGE4, Augmentation, Recipe, StepDecay, WarmupCosine


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


@pytest.mark.parametrize("wrong", [{"rotation": -1}, {"cutout": -2}, {"scale": 1.0}])
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"batch_size": 1}, "batch_size = 1"),
        ({"batch_size": 60_001}, "batch_size = 60001"),
        ({"augmentation_annealing": 1.5}, "augmentation_annealing"),
        ({"learning_rate": -0.1}, "learning rate"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"optimizer": "rmsprop"}, "'rmsprop'.*sgd, adam, adamw"),
    ],
)
def test_an_impossible_recipe_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)
