import json
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.judge.report import FAILED, UNKNOWN, Finding
from mnist_drill.judge.rules import PRESETS
from mnist_drill.leaderboard.entries import entries, fault, leaderboard, read_entry
from tests.leaderboard.reports import full_report, put


def test_the_committed_entries_are_entries_and_each_file_has_its_report():
    folder = leaderboard()
    names = {entry.name for entry in entries(folder)}
    assert names
    assert {path.stem for path in folder.iterdir()} == names


def test_an_entry_has_the_figures_of_its_report(tmp_path):
    report = full_report()
    entry = read_entry(put(tmp_path, "mine", replace(report, speed=replace(report.speed, seconds=(3.0, 0.5, 0.1)))))
    assert (entry.name, entry.parameters, entry.epochs, entry.holds) == ("mine", 9904, 15, True)
    assert entry.lowest == min(row.test_accuracy for run in report.runs_on("test") for row in run.epochs[-5:])
    assert entry.time == 0.5
    assert read_entry(tmp_path / "mine.py") == entry


def test_a_network_that_misses_the_accuracy_is_an_entry_and_does_not_hold_it(tmp_path):
    entry = read_entry(put(tmp_path, "low", full_report(study="stage3")))
    assert not entry.holds


def with_finding(report, rule, verdict):
    findings = [x for x in report.findings if x.rule != rule]
    return replace(report, findings=(*findings, Finding(rule, verdict, "found", "why")))


def with_last(report, accuracy):
    run = report.runs[-1]
    low = replace(run, epochs=(*run.epochs[:-1], replace(run.last, test_accuracy=accuracy)))
    return replace(report, runs=(*report.runs[:-1], low))


def with_machine(report, environment):
    return replace(report, runs=(replace(report.runs[0], environment=environment), *report.runs[1:]))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda x: replace(x, quick=True), "without training"),
        (lambda x: replace(x, rules=PRESETS["classic"]), "other rules"),
        (lambda x: replace(x, rules=replace(x.rules, accuracy=90.0)), "other rules"),
        (lambda x: replace(x, seeds=x.seeds[:2]), "2 seeds"),
        (lambda x: replace(x, seeds=(1, 1, 1)), "1 seeds"),
        (lambda x: replace(x, findings=x.findings[1:]), "nothing of accuracy"),
        (lambda x: replace(x, findings=x.findings[:-1]), "nothing of untouched"),
        (lambda x: with_finding(x, "shape", FAILED), "shape failed"),
        (lambda x: with_finding(x, "accuracy", UNKNOWN), "accuracy could not be judged"),
        (lambda x: with_finding(x, "trained", FAILED), "trained failed"),
        (lambda x: replace(x, speed=None), "missing"),
        (lambda x: replace(x, speed=replace(x.speed, seconds=())), "time of an epoch"),
        (lambda x: replace(x, speed=replace(x.speed, stage4=(1.0, 0.0))), "time of an epoch"),
        (lambda x: replace(x, parameters=replace(x.parameters, counted=10_000)), "10,000 parameters"),
        (lambda x: replace(x, parameters=replace(x.parameters, counted=-5)), "-5 parameters"),
        (lambda x: replace(x, runs=x.runs[1:]), "validation set are not those of its seeds"),
        (lambda x: replace(x, runs=x.runs[:-1]), "test set are not those of its seeds"),
        (lambda x: replace(x, seeds=(7, 8, 9)), "not those of its seeds"),
        (lambda x: replace(x, recipe={"epochs": 14}), "another number of epochs"),
        (lambda x: replace(x, runs=(*x.runs[:-1], replace(x.runs[-1], data="0"))), "different data"),
        (lambda x: replace(x, speed=replace(x.speed, seconds=(1.0, float("nan")))), "time of an epoch"),
        (lambda x: with_machine(x, {}), "machine"),
        (lambda x: with_machine(x, {**x.environment, "hardware": "<script>"}), "machine"),
        (lambda x: with_last(x, float("nan")), "cannot be"),
        (lambda x: with_last(x, 90.0), "verdict on accuracy"),
        (lambda x: with_last(x, 100.1), "cannot be"),
    ],
)
def test_what_may_not_stand_there_says_why(change, named):
    assert fault(full_report()) == ""
    assert named in fault(change(full_report()))


def test_more_seeds_and_other_limits_are_no_fault():
    report = full_report(seeds=(1, 2, 3, 4))
    rules = replace(report.rules, seeds=4, limits=replace(report.rules.limits, memory_gb=8))
    assert fault(replace(report, rules=rules)) == ""


def test_what_cannot_be_an_entry_is_one_line_that_names_the_file(tmp_path):
    path = put(tmp_path, "mine")
    (tmp_path / "mine.py").write_text("network = None\n")
    with pytest.raises(DrillError, match=r"mine\.json was not made from .*mine\.py"):
        read_entry(path)
    (tmp_path / "mine.py").unlink()
    with pytest.raises(DrillError, match=r"cannot read .*mine\.py"):
        read_entry(path)
    with pytest.raises(DrillError, match=r"my-name\.json: name it"):
        read_entry(put(tmp_path, "my-name"))
    path = put(tmp_path, "zero", replace(full_report(), quick=True))
    with pytest.raises(DrillError, match=r"zero\.json is no entry of the leaderboard: .*without training"):
        read_entry(path)


@pytest.mark.parametrize(
    "change",
    [
        {"speed": {"images": 1, "seconds": ["x"], "stage4": [1]}},
        {"speed": {"images": 1, "seconds": [10**400], "stage4": [1]}},
        {"speed": {"images": 1}},
        {"speed": 3},
        {"seeds": [[1], [2], [3]]},
    ],
)
def test_a_report_with_a_value_that_cannot_be_is_refused(tmp_path, change):
    path = put(tmp_path, "mine")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DrillError, match="does not hold"):
        read_entry(path)
