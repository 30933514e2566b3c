from contextlib import nullcontext
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.judge.report import FAILED, PASSED, Finding
from mnist_drill.judge.rules import PRESETS, Limits
from mnist_drill.leaderboard import adding
from mnist_drill.leaderboard.adding import add
from mnist_drill.leaderboard.checking import SLOWER, check, compare, unknown_entries
from mnist_drill.leaderboard.entries import entries
from tests.leaderboard.reports import FILE, full_report, put

OWN = full_report(seeds=(4, 5, 6))


def faults(reported, own=OWN):
    return [each.fault for each in compare(reported, own) if each.fault]


def higher(report, points):
    """The report with test accuracies that are higher by so many points, as somebody might write them."""

    def raised(run):
        rows = (replace(row, test_accuracy=min(100.0, row.test_accuracy + points)) for row in run.epochs)
        return replace(run, epochs=tuple(rows))

    return replace(report, runs=tuple(map(raised, report.runs)))


def with_accuracy(report, verdict):
    findings = [x for x in report.findings if x.rule != "accuracy"]
    return replace(report, findings=(*findings, Finding("accuracy", verdict, "found", "why")))


def test_an_honest_report_is_accepted():
    assert faults(full_report(seeds=(1, 2, 3))) == []
    assert faults(full_report(seeds=(1, 2, 3, 7, 8, 9))) == []


@pytest.mark.parametrize(
    ("reported", "named"),
    [
        (higher(full_report(), 0.3), "significantly better"),
        (full_report(parameters=9000), "number of parameters"),
        (replace(full_report(), recipe={"epochs": 10}), "number of epochs"),
        (replace(full_report(), mflops=5.0), "FLOPs"),
        (replace(full_report(), runs=tuple(replace(run, data="0") for run in full_report().runs)), "other data"),
        (full_report(seconds=0.99 / SLOWER), "an epoch takes"),
    ],
)
def test_what_was_reported_otherwise_is_not_accepted(reported, named):
    (fault,) = faults(reported)
    assert named in fault


def test_accuracies_that_do_not_vary_are_compared_as_they_are():
    def constant(report, accuracy):
        rows = tuple(replace(row, test_accuracy=accuracy) for row in report.runs[0].epochs)
        return replace(report, runs=tuple(replace(run, epochs=rows) for run in report.runs))

    assert faults(constant(OWN, 99.5), constant(OWN, 99.5)) == []
    assert "significantly better" in faults(constant(OWN, 99.6), constant(OWN, 99.5))[0]


def test_one_seed_on_a_side_shows_no_difference():
    rules = replace(PRESETS["drill"], seeds=1)
    for reported, own in (((1,), (4,)), ((1, 2, 3), (4,)), ((1,), (4, 5, 6))):
        checks = compare(higher(full_report(reported), 0.3), full_report(own), rules)
        assert [each.fault for each in checks if each.fault] == []


def test_a_network_that_holds_the_accuracy_holds_it_at_other_seeds():
    lower = with_accuracy(higher(OWN, -0.2), FAILED)
    assert any("does not hold 99.4 %" in fault for fault in faults(full_report(), lower))
    assert faults(with_accuracy(higher(full_report(), -0.2), FAILED), lower) == []


def test_a_network_that_breaks_a_rule_when_it_is_judged_again_is_not_accepted():
    findings = [x for x in OWN.findings if x.rule != "shifted"]
    remembers = replace(OWN, findings=(*findings, Finding("shifted", FAILED, "loses 80 points", "why")))
    (fault,) = faults(full_report(), remembers)
    assert "shifted failed: loses 80 points" in fault


def test_only_entries_that_the_leaderboard_does_not_have_as_they_are_are_new(tmp_path):
    known, submitted = tmp_path / "known", tmp_path / "submitted"
    for folder in (known, submitted):
        folder.mkdir()
        put(folder, "same")
        put(folder, "judged_again", full_report(seeds=(1, 2, 3) if folder == known else (4, 5, 6)))
    put(submitted, "new")
    put(known, "gone")
    assert [entry.name for entry in unknown_entries(submitted, known)] == ["judged_again", "new"]
    (submitted / "same.toml").write_text('recipe_of = "stage2"\n')  # which makes it another submission
    with pytest.raises(DrillError, match=r"same\.json was not made from"):
        unknown_entries(submitted, known)
    (submitted / "same.toml").unlink()
    (submitted / "alone.py").write_text("network = None\n")
    with pytest.raises(DrillError, match=r"cannot read .*alone\.json"):
        unknown_entries(submitted, known)


@pytest.mark.parametrize("changed", ["mine.py", "mine.toml"])
def test_what_was_changed_while_it_was_judged_is_no_entry_and_the_others_are(tmp_path, monkeypatch, changed):
    files = [tmp_path / "mine.py", tmp_path / "other.py"]
    for file in files:
        file.write_text(FILE)

    def judge(submission, **options):
        (tmp_path / changed).write_text('recipe_of = "stage2"' if changed.endswith("toml") else "network = None")
        return replace(full_report(), name=submission.title, source=submission.source)

    monkeypatch.setattr(adding, "judge", judge)
    monkeypatch.setattr(adding, "zygote", nullcontext)
    told = []
    assert not add(files, tmp_path / "board", tell=told.append)
    assert [entry.name for entry in entries(tmp_path / "board")] == ["other"]
    assert not list((tmp_path / "board").glob("mine.*"))
    assert "mine.py or its recipe was changed" in told[0]


RULES = replace(PRESETS["drill"], epochs=1, seeds=3, accuracy=30.0, shift_drop=40.0, limits=Limits(minutes_to_train=5))
SMALL = """
from mnist_drill.recipes import Recipe
from torch import nn

recipe = Recipe(epochs=1, batch_size=8, learning_rate={rate})


def network():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, {width}))
"""


@pytest.mark.slow
def test_what_was_added_is_accepted_when_it_is_judged_again_and_a_better_figure_is_not(few_sets, tmp_path):
    folder, file, bad = tmp_path / "leaderboard", tmp_path / "linear.py", tmp_path / "eleven.py"
    file.write_text(SMALL.format(width=10, rate=0.05))
    bad.write_text(SMALL.format(width=11, rate=0.05))
    told = []
    assert not add([file, bad], folder, RULES, sets=few_sets, jobs=2, tell=told.append)
    assert [path.name for path in sorted(folder.iterdir())] == ["linear.json", "linear.py"]
    assert "[1, 11]" in told[-1]
    (entry,) = entries(folder, RULES)
    assert str(tmp_path) not in entry.path.read_text()

    written = entry.path.stat().st_mtime_ns
    assert add([file], folder, RULES, sets=few_sets, tell=told.append)  # and trains nothing
    assert told[-1] == "linear is an entry already"
    assert entry.path.stat().st_mtime_ns == written
    file.write_text(SMALL.format(width=10, rate=0.1))
    with pytest.raises(DrillError, match="another network"):
        add([file], folder, RULES, sets=few_sets)

    # Chance would turn an honest report away once in forty times, and a busy machine more often: this one claims less.
    speed = replace(entry.report.speed, seconds=tuple(3 * x for x in entry.report.speed.seconds))
    modest = replace(entry, report=replace(higher(entry.report, -3), speed=speed))
    checked = check(modest, RULES, sets=few_sets, jobs=2)
    assert checked.accepted, checked.verdict
    assert set(checked.own.seeds).isdisjoint(entry.report.seeds)
    assert checked.own.verdict == PASSED
    better = higher(entry.report, 100 - min(entry.report.lowest()))
    assert any("significantly better" in each.fault for each in compare(better, checked.own, RULES))
