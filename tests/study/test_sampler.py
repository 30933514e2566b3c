"""Studies whose rows Optuna draws: pruned by seed, and resumed without training anything twice."""

import importlib.util
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.study import execution
from mnist_drill.study.execution import execute, executor_for
from mnist_drill.study.file import reader
from mnist_drill.study.folder import Folder
from tests.course.runs import RUN

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="Optuna is not installed: pip install optuna"
)

STUDY = """
network = "stage2"
seeds = 3
[random]
samples = 20
recipe.learning_rate = {low = 0.01, high = 1.0, log = true}
recipe.batch_size = {low = 10, high = 99}
recipe.augmentation = ["none", {cutout = 8}]
"""


def loss_of(task):
    """A loss that is lowest at a learning rate of 0.1, and a little different for each seed."""
    return abs(task.row.recipe.learning_rate - 0.1) + task.seed / 1000


@pytest.fixture
def trained(monkeypatch):
    """Each task that is trained. Its run is not a training's: what matters here is its loss."""
    seen = []

    def train(work, sets, device, tick):
        (task,) = work
        seen.append((task.name, task.seed))
        last = replace(RUN.last, test_loss=loss_of(task))
        return [replace(RUN, name=task.name, seed=task.seed, epochs=(last,))]

    monkeypatch.setattr(execution, "train", train)
    monkeypatch.setattr(execution, "sets_of", lambda evaluated_on: None)
    return seen


@pytest.fixture
def search(tmp_path):
    """Searches the study in `text`; with `most` only so many runs are stored before Ctrl-C."""
    from mnist_drill.study.sampler import Sampled

    def search(text=STUDY, most=1_000):
        (tmp_path / "study.toml").write_text(text)
        sampled = Sampled(reader(tmp_path / "study.toml"), Folder(tmp_path / "out"), "of the data")
        left = iter(range(most))

        def store(task, run):
            if next(left, None) is None:
                raise KeyboardInterrupt
            sampled.store(task, run)

        execute(sampled, executor_for("cpu"), store, "study")
        return sampled

    return search


def test_it_finds_a_good_row_and_trains_bad_ones_with_fewer_seeds(search, trained, tmp_path):
    sampled = search()
    seeds = {name: [seed for row, seed in trained if row == name] for name, _ in trained}
    assert len(seeds) == 20
    assert {tuple(each) for each in seeds.values()} >= {(1,), (1, 2, 3)}
    pruned = [trial for trial in sampled.optuna.trials if trial.state.name == "PRUNED"]
    assert len(pruned) == sum(len(each) < 3 for each in seeds.values()) > 3
    assert abs(sampled.optuna.best_params["recipe.learning_rate"] - 0.1) < 0.05
    assert f"20 trials, {len(pruned)} of them pruned; lowest mean validation loss 0.0" in sampled.result
    folder = Folder(tmp_path / "out")
    asked = folder.asked()
    assert list(asked.keys) == list(seeds)
    assert {name: [run.seed for run in runs] for name, runs in folder.load(asked).items()} == seeds


@pytest.mark.parametrize("most", [1, 2, 13])
def test_an_interrupted_search_goes_on_and_trains_no_stored_run_again(search, trained, tmp_path, most):
    with pytest.raises(execution.Interrupted, match=f"{most} of 60 missing runs"):
        search(most=most)
    stored = trained[:most]
    assert len(list(tmp_path.glob("out/runs/*"))) == most
    trained.clear()
    sampled = search()
    assert not set(trained) & set(stored)
    assert len(sampled.optuna.trials) == 20
    assert all(trial.state.is_finished() for trial in sampled.optuna.trials)
    assert len(set(trained)) == len(trained)
    trained.clear()
    assert search().optuna.best_value == sampled.optuna.best_value
    assert trained == []


def test_more_samples_continue(search, trained):
    search()
    trained.clear()
    assert len(search(STUDY.replace("20", "25")).optuna.trials) == 25
    assert len({name for name, _ in trained}) == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [("low = 0.01", "low = 0.02"), ('["none"', "[{cutout = 9}"), ("seeds = 3", "seeds = 4"),
     ("[random]", "recipe.epochs = 2\n[random]")],
    ids=["range", "choice", "seeds", "setting"],
)  # fmt: skip
def test_another_search_begins_anew(search, trained, old, new):
    text = STUDY.replace("20", "3")
    before, after = search(text).optuna, search(text.replace(old, new)).optuna
    assert before.study_name != after.study_name
    assert len(after.trials) == 3


def test_equal_trials_are_trained_once(search, trained):
    text = 'network = "stage2"\nseeds = 2\n[random]\nsamples = 9\nrecipe.optimizer = ["sgd", "adam"]'
    sampled = search(text)
    assert len(sampled.optuna.trials) == 9
    assert len(set(trained)) == len(trained) <= 4


def test_equal_trials_that_are_under_way_at_once_are_trained_once(tmp_path, trained):
    from mnist_drill.study.sampler import Sampled

    (tmp_path / "study.toml").write_text('network = "stage2"\nseeds = 1\n[random]\nsamples = 9\nrecipe.epochs = [1, 2]')
    sampled = Sampled(reader(tmp_path / "study.toml"), Folder(tmp_path / "out"), "")
    works = list(iter(sampled, None))  # as many jobs as there are trials
    assert [task.name for (task,) in works] == list(dict.fromkeys(task.name for (task,) in works))
    for (task,) in works:
        sampled.store(task, replace(RUN, seed=task.seed))
    assert sampled() is None
    assert len(sampled.optuna.trials) == 9
    assert all(trial.state.name == "COMPLETE" for trial in sampled.optuna.trials)


def test_a_row_that_diverges_is_a_trial_of_an_infinite_loss(search, monkeypatch, trained):
    train = execution.train

    def diverges(work, *rest):
        (run,) = train(work, *rest)
        return [replace(run, stopped="loss nan in epoch 1") if work[0].row.recipe.learning_rate > 0.2 else run]

    monkeypatch.setattr(execution, "train", diverges)
    sampled = search(STUDY.replace("seeds = 3", "seeds = 1"))
    values = {trial.params["recipe.learning_rate"]: trial.value for trial in sampled.optuna.trials}
    assert all((value == float("inf")) == (rate > 0.2) for rate, value in values.items())
    assert float("inf") in values.values()


IMPOSSIBLE = STUDY.replace("seeds = 3", "seeds = 1").replace(
    "recipe.learning_rate = {low = 0.01, high = 1.0, log = true}",
    "recipe.schedule = {warmup = {low = 0.0, high = 1.0}, annealed = {low = 0.0, high = 1.0}}",
)


def is_possible(trial):
    return trial.params["recipe.schedule.warmup"] <= trial.params["recipe.schedule.annealed"]


@pytest.mark.parametrize("seed", [1, 2], ids=["the first draw is possible", "the first draw is impossible"])
def test_draws_that_cannot_be_trained_are_left_out(search, trained, monkeypatch, seed):
    monkeypatch.setattr(f"{__name__}.loss_of", lambda task: 0.1)
    text = IMPOSSIBLE.replace("[random]", f"[random]\nseed = {seed}")
    sampled = search(text)
    assert len(trained) == 20
    assert {is_possible(trial): trial.state.name for trial in sampled.optuna.trials} == {
        True: "COMPLETE",
        False: "PRUNED",
    }
    assert f"20 trials, 0 of them pruned; {len(sampled.optuna.trials) - 20} other draws" in sampled.result
    trained.clear()
    assert len(search(text).optuna.trials) == len(sampled.optuna.trials)
    assert trained == []


def test_arguments_with_which_a_network_fails_are_left_out(search, trained, tmp_path):
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n\ndef net(size):\n"
        "    return nn.Sequential(nn.Conv2d(1, 10, size), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    text = 'network = "nets.py:net"\nseeds = 1\n[random]\nsamples = 9\narguments.size = {low = 20, high = 40}'
    sampled = search(text)
    sizes = {trial.params["arguments.size"]: trial.state.name for trial in sampled.optuna.trials}
    assert set(sizes.values()) == {"COMPLETE", "PRUNED"}
    assert all((state == "PRUNED") == (size > 28) for size, state in sizes.items())


def test_a_search_that_stopped_at_a_draw_that_cannot_be_trained_goes_on(search, trained, monkeypatch):
    monkeypatch.setattr(f"{__name__}.loss_of", lambda task: 0.1)
    stopped = search(IMPOSSIBLE.replace("20", "2")).optuna
    ask = stopped.ask()  # as it was left before: running
    ask.suggest_float("recipe.schedule.warmup", 0.0, 1.0)
    stopped.enqueue_trial({"recipe.schedule.warmup": 0.9, "recipe.schedule.annealed": 0.1})
    stopped.ask()
    sampled = search(IMPOSSIBLE)
    assert all(trial.state.is_finished() for trial in sampled.optuna.trials)
    assert sum(trial.state.name == "COMPLETE" for trial in sampled.optuna.trials) == 20


def test_a_search_in_which_nothing_can_be_trained_is_one_error(search, trained):
    text = IMPOSSIBLE.replace("warmup = {low = 0.0", "warmup = {low = 0.6").replace("high = 1.0}}", "high = 0.5}}")
    with pytest.raises(DrillError, match=r"in a row cannot be trained.*study\.toml.*annealed"):
        search(text)
    assert trained == []


def test_what_is_drawn_stays_in_its_range(search, trained):
    values = "{low = 0.99991, high = 0.99999}"  # 1.0 with four digits, or 0.9999
    sampled = search(f'network = "stage2"\nseeds = 1\n[random]\nsamples = 9\nrecipe.momentum = {values}')
    assert {row.recipe.momentum for row in sampled.study.rows.values()} == {0.99991, 0.99999}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('network = "stage2"', "needs a file with a table `random`"),
        (STUDY + "[rows.a]\n[rows.b]", "and no `rows`"),
        (STUDY.replace("seeds = 3", 'evaluated_on = "test"'), "nothing is chosen on the test set"),
        (STUDY.replace("high = 1.0", "high = 0.001"), "low has to be at most high"),
    ],
)
def test_what_cannot_be_searched_is_one_error(search, text, message):
    with pytest.raises(DrillError, match=message):
        search(text)
