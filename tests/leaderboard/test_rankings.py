from dataclasses import replace

from mnist_drill.leaderboard.entries import RULES, entries
from mnist_drill.leaderboard.rankings import QUESTIONS, rankings
from tests.leaderboard.reports import full_report, put


def test_each_question_has_an_order_of_its_own_and_what_misses_the_accuracy_is_in_the_first_alone(tmp_path):
    short = full_report(seeds=(4, 5, 6), parameters=9000, seconds=3.0)
    put(tmp_path, "accurate", full_report(seeds=(1, 2, 3), seconds=2.0))
    put(tmp_path, "small", short)
    put(tmp_path, "low", full_report(study="stage3", parameters=100, seconds=0.1))
    found = {entry.name: entry for entry in entries(tmp_path)}
    tables = list(rankings(list(found.values())).values())
    orders = [[row[1] for row in table.rows] for table in tables]
    by_accuracy = sorted(found, key=lambda name: -found[name].lowest)
    assert orders[0] == by_accuracy
    assert by_accuracy[-1] == "low"
    assert orders[1] == ["small", "accurate"]
    assert orders[3] == ["accurate", "small"]
    assert {row[0] for row in tables[2].rows} == {"1"}  # the same number of epochs
    assert [row[6] for row in tables[3].rows] == ["2.00", "3.00"]


def test_a_training_of_fewer_epochs_takes_less_time_and_comes_first(tmp_path):
    report = full_report(seconds=1.0)
    runs = [replace(run, epochs=run.epochs[5:]) for run in report.runs]
    put(tmp_path, "long", report)
    put(tmp_path, "brief", replace(report, runs=tuple(runs), recipe={**report.recipe, "epochs": 10}))
    _, _, epochs, time = rankings(entries(tmp_path)).values()
    assert [row[1] for row in epochs.rows] == [row[1] for row in time.rows] == ["brief", "long"]
    assert time.rows[0][6] == "0.67"


def test_an_empty_ranking_is_none_and_links_lead_to_the_files(tmp_path):
    assert list(rankings([]).values()) == [None] * len(QUESTIONS)
    put(tmp_path, "low", full_report(study="stage3"))
    first, *others = rankings(entries(tmp_path), "../leaderboard/").values()
    assert first.rows[0][1] == "[low](../leaderboard/low.py)"
    assert others == [None] * 3
    assert all(f"{RULES.accuracy:g} %" in question for question in list(rankings([]))[1:])
