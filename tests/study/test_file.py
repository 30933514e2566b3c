"""A study's file: the rows, recipes, seeds and networks that it means, and what is wrong with it in one line."""

from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.networks import definition, stage3
from mnist_drill.recipes import PLAIN, STAGE4, Augmentation, StepDecay, WarmupCosine
from mnist_drill.study.file import read_study
from mnist_drill.study.network import Network
from mnist_drill.study.search import drawn

NETS = "from torch import nn\ndef tiny(width=4): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"


@pytest.fixture
def read(tmp_path):
    """Reads a study with that content."""
    (tmp_path / "nets.py").write_text(NETS)

    def read(text, seeds=None, name="study.toml"):
        (tmp_path / name).write_text(text)
        return read_study(tmp_path / name, seeds)

    return read


def recipes(study):
    return {name: row.recipe for name, row in study.rows.items()}


def test_rows_change_what_they_share(read):
    study = read(
        """
        network = "stage3"
        seeds = 5
        evaluated_on = "test"
        baseline = "plain"
        recipe.epochs = 3
        [rows.plain]
        [rows.more]
        arguments.dropout = 0.1
        recipe = {learning_rate = 0.2, optimizer = "adam"}
        [rows."another network"]
        network = "stage4"
        """
    )
    assert study.seeds == (1, 2, 3, 4, 5)
    assert (study.evaluated_on, study.baseline) == ("test", "plain")
    assert [row.network for row in study.rows.values()] == [
        Network("stage3"), Network("stage3", {"dropout": 0.1}), Network("stage4")
    ]  # fmt: skip
    plain = PLAIN.with_epochs(3)
    assert recipes(study) == {
        "plain": plain,
        "more": replace(plain, learning_rate=0.2, optimizer="adam"),
        "another network": STAGE4.with_epochs(3),  # each begins with its own network's
    }


def test_a_study_of_one_network_needs_one_line(read):
    study = read('network = "stage4"')
    assert list(study.rows) == ["stage4"]
    assert recipes(study) == {"stage4": STAGE4}
    assert (study.seeds, study.evaluated_on, study.baseline) == ((1, 2, 3), "validation", "")


def test_networks_of_a_file_lie_beside_the_study(read):
    study = read('network = "nets.py:tiny"\narguments.width = 3\nrecipe_of = "stage4"\n')
    ((name, row),) = study.rows.items()
    assert name == "nets.py:tiny(width=3)"
    assert row == replace(row, network=Network("tiny", {"width": 3}, "nets.py", NETS), recipe=STAGE4)
    assert recipes(read('network = "nets.py:tiny"')) == {"nets.py:tiny": PLAIN}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('schedule = "constant"', {"schedule": None}),
        ("schedule = {}", {}),
        ("schedule.final = 0.1", {"schedule": replace(STAGE4.schedule, final=0.1)}),
        ("schedule = {every = 0.4}", {"schedule": StepDecay(every=0.4)}),
        ("schedule = {every = 0.4, gamma = 0.5}", {"schedule": StepDecay(every=0.4, gamma=0.5)}),
        ('augmentation = "none"', {"augmentation": Augmentation()}),
        ("augmentation.cutout = 8", {"augmentation": replace(STAGE4.augmentation, cutout=8)}),
    ],
)
def test_schedule_and_augmentation_are_changed_or_replaced(read, change, expected):
    study = read(f'network = "stage4"\n[recipe]\n{change}')
    assert recipes(study) == {"stage4": replace(STAGE4, **expected)}


def test_a_recipe_without_schedule_is_given_one(read):
    assert recipes(read('network = "stage3"\nrecipe.schedule.final = 0.1')) == {
        "stage3": replace(PLAIN, schedule=WarmupCosine(final=0.1))
    }


def test_every_row_has_every_combination_of_the_grid(read):
    study = read(
        """
        network = "stage3"
        baseline = "few, learning_rate 0.1"
        [rows.few]
        recipe.epochs = 2
        [rows.many]
        recipe.epochs = 9
        [grid]
        recipe.learning_rate = [0.1, 0.2]
        """
    )
    assert recipes(study) == {
        f"{name}, learning_rate {rate}": replace(PLAIN, epochs=epochs, learning_rate=rate)
        for name, epochs in (("few", 2), ("many", 9))
        for rate in (0.1, 0.2)
    }


def test_a_random_search_draws_rows(read):
    text = '[random]\nsamples = {}\nnetwork = ["stage3", "stage4"]\nrecipe.learning_rate = {{low = 0.1, high = 1.0}}'
    few, more = read(text.format(3)), read(text.format(6))
    assert len(few.rows) == 3
    assert len(more.rows) == 6
    assert list(few.rows.items()) == list(more.rows.items())[:3]


def test_a_range_of_whole_numbers_has_both_ends_and_none_twice_as_often():
    values = [row["x"] for _, row in drawn({"x": {"low": -1, "high": 1}, "y": {"low": 0.0, "high": 1.0}}, 300, 1)]
    assert set(values) == {-1, 0, 1}
    assert all(70 < values.count(value) < 130 for value in set(values))


def test_seeds_are_a_number_or_a_list_and_the_command_has_precedence(read):
    assert read('network = "stage4"\nseeds = [7, 3, 7]').seeds == (7, 3)
    assert read('network = "stage4"\nseeds = [7, 3, 7]', seeds=2).seeds == (1, 2)


def test_a_study_may_be_a_python_file(read):
    study = read(
        "from torch import nn\n"
        "def tiny(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        "study = {'network': 'study.py:tiny', 'rows': {f'rate {r}': {'recipe': {'learning_rate': r}} for r in (1, 2)}}",
        name="study.py",
    )
    assert list(study.rows) == ["rate 1", "rate 2"]
    assert study.rows["rate 1"].network.checked()


def test_a_network_by_name_may_be_torchvisions(read):
    study = read('network = "resnet18"\narguments = {freeze = true}')
    (row,) = study.rows.values()
    assert row.network == Network("resnet18", {"freeze": True})
    assert definition(stage3()) != definition(row.network.build(1))


BAD = {
    'netwrok = "stage4"': "unknown key 'netwrok': did you mean network",
    "seeds = 3": "needs a network",
    'network = "stage9"': "unknown network 'stage9'",
    "network = 4": "needs a network",
    'network = "none.py:Net"': r"cannot read .*none\.py: No such file",
    'network = "stage4"\nseeds = 0': "seeds is a number from 1",
    'network = "stage4"\nseeds = [1, -1]': "seeds is a number from 1",
    'network = "stage4"\nseeds = true': "seeds is a number from 1",
    'network = "stage4"\nseeds = 2_000_000': "seeds is a number from 1",
    'network = "stage4"\nevaluated_on = "training"': "unknown split in evaluated_on, 'training'",
    'network = "stage4"\nevaluated_on = 3': "unknown split",
    'network = "stage4"\nbaseline = "a"': "unknown row in baseline, 'a'",
    'network = "stage4"\nbaseline = [1]': "baseline is the name of a row",
    'network = "nets.py"': 'name its class or function, too, as "nets.py:Name"',
    f'network = "stage4"\nrecipe.learning_rate = {10**400}': "learning_rate = 1000.*not in its range",
    'network = "stage4"\nrecipe.augmentation.scale = nan': "scale = nan is not in its range",
    'network = "stage4"\nrecipe_of = "stage9"': "unknown network 'stage9'",
    'network = "stage4"\nrecipe = 3': "recipe has to be a table",
    'network = "stage4"\nrows = [1]': "rows has to be a table",
    'network = "stage4"\nrows.a = 1': "row 'a': a has to be a table",
    'network = "stage4"\nrows.a.rcipe.epochs = 1': "row 'a': unknown key 'rcipe'",
    'network = "stage4"\nrows.a.recipe.epoch = 1': "row 'a': unknown setting of a recipe 'epoch': did you mean epochs",
    'network = "stage4"\nrecipe.epochs = 0': "epochs = 0 is not in its range",
    'network = "stage4"\nrecipe.epochs = 2.5': "epochs is 2.5",
    'network = "stage4"\nrecipe.epochs = true': "epochs is True",
    'network = "stage4"\nrecipe.learning_rate = -1': "learning_rate = -1 is not in its range, above 0",
    'network = "stage4"\nrecipe.learning_rate = nan': "learning_rate = nan is not in its range",
    'network = "stage4"\nrecipe.learning_rate = "high"': "learning_rate is 'high'",
    'network = "stage4"\nrecipe.batch_size = 1': "batch_size = 1 is not in its range, from 2 to 60,000",
    'network = "stage4"\nrecipe.momentum = 1': "momentum = 1 is not in its range, from 0 to below 1",
    'network = "stage4"\nrecipe.weight_decay = inf': "weight_decay = inf is not in its range",
    'network = "stage4"\nrecipe.optimizer = "sdg"': "unknown optimizer 'sdg'",
    'network = "stage4"\nrecipe.augmentation.rotate = 1': "unknown setting of augmentation 'rotate'",
    'network = "stage4"\nrecipe.augmentation.scale = 1.5': "scale = 1.5 is not in its range",
    'network = "stage4"\nrecipe.augmentation.rotation = -1': "rotation = -1 is not in its range",
    'network = "stage4"\nrecipe.augmentation.translation = inf': "translation = inf is not in its range",
    'network = "stage4"\nrecipe.augmentation.shear = 90': "shear = 90 is not in its range, from 0 to below 90",
    'network = "stage4"\nrecipe.augmentation = "much"': 'augmentation is "none" or a table',
    'network = "stage4"\nrecipe.schedule = "linear"': 'schedule is "constant" or a table',
    'network = "stage4"\nrecipe.schedule.warm = 1': "unknown setting of a schedule 'warm'",
    'network = "stage4"\nrecipe.schedule = {every = 0.1, warmup = 0.1}': "cannot have all of every, warmup",
    'network = "stage4"\nrecipe.schedule = {gamma = 0.1}': "needs every",
    'network = "stage4"\nrecipe.schedule = {every = 0}': "every = 0 is not in its range",
    'network = "stage4"\nrecipe.schedule = {warmup = 0.95}': "anneals after its warmup",
    'network = "stage3"\nrecipe.schedule = {}': "name a setting",
    'network = "stage4"\narguments.when = 2020-01-01': "arguments are numbers",
    'network = "stage4"\ngrid.recipe.epochs = [1]\nrandom.samples = 1': "choose one",
    'network = "stage4"\ngrid.recipe.epochs = 1': "has to be a list",
    'network = "stage4"\ngrid.recipe.epochs = [1, 1]': "two rows have the same name",
    'network = "stage4"\ngrid.seeds = [1]': "unknown key 'seeds'",
    'network = "stage4"\nrandom.recipe.epochs = [1]': "a random search needs samples",
    'network = "stage4"\nrandom = {samples = 0}': "a random search needs samples",
    'network = "stage4"\nseeds = 500_000\ngrid.recipe.epochs = [1, 2, 3]': "asks for 1,500,000 runs",
    'network = "stage4"\nrows."a\\nb" = {}': "printable",
    "network = ": "cannot read",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_one_line_that_names_the_file(read, text, tmp_path):
    with pytest.raises(DrillError, match=BAD[text]) as caught:
        read(text)
    assert "study.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("study = 3", "define a dictionary"), ("1 / 0", "line 1, ZeroDivisionError"), ("def", "SyntaxError")],
)
def test_a_python_file_that_fails_is_one_line(read, text, message):
    with pytest.raises(DrillError, match=rf"study\.py.*{message}"):
        read(text, name="study.py")


@pytest.mark.parametrize("name", ["none.toml", "none.py"])
def test_a_file_that_is_not_there_is_one_line(tmp_path, name):
    with pytest.raises(DrillError, match=rf"cannot read .*{name}"):
        read_study(tmp_path / name)
