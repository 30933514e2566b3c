from dataclasses import replace

import pytest

from mnist_drill.course.statistics import loss_difference
from mnist_drill.course.tables import (
    RUN_MIME,
    Result,
    Table,
    counted,
    loss_table,
    mean_and_spread,
    spread_table,
    study_table,
)
from mnist_drill.runs import Run
from tests.course.runs import RUN, ending, made_with


def test_table_as_markdown_and_as_text():
    table = Table(["name", "n"], [["a", 5], ["bb", 1234]])
    assert table._repr_markdown_() == "| name | n |\n| --- | --- |\n| a | 5 |\n| bb | 1234 |"
    assert repr(table) == "name     n\na        5\nbb    1234"
    assert repr(Table(["name", "n"], [])) == "name  n"


def test_result_carries_the_run():
    bundle = Result(RUN)._repr_mimebundle_()
    assert Run.from_dict(bundle[RUN_MIME]) == RUN
    assert "9,712" in bundle["text/markdown"]
    assert f"{RUN.last.test_accuracy:.2f}" in bundle["text/markdown"]
    assert Result(RUN).rows[0][6] == "–"  # one epoch has no last five


def test_result_shows_the_stored_seeds_below_the_run():
    table = Result(RUN, ending(98.0, 99.4, 99.6))
    last = table.header.index("last test")
    assert [row[last] for row in table.rows] == [f"{RUN.last.test_accuracy:.2f}", "99.00 ± 0.87", "98.00"]
    assert table.rows[2][table.header.index("lowest of last five")] == "98.00"
    assert "3 seeds" in table.rows[1][0]
    assert mean_and_spread([99.4]) == "99.40"


def test_spread_table():
    row, short = spread_table({"steady": ending(98.0, 99.4, 99.6), "none": [], "short": [RUN]}).rows
    steady = [replace(x, epochs=(replace(x.last, test_accuracy=99.4),) * 5) for x in ending(1, 2)]
    assert row == ["steady", "3", "99.00 ± 0.87", "98.00", "98.00", "0 of 3", "99.33 ± 0.31"]
    assert short[4:6] == ["–", "–"]  # one epoch has no last five
    assert spread_table({"steady": steady}).rows[0][5] == "2 of 2"
    assert spread_table({"steady": steady}, least=99.5).rows[0][5] == "0 of 2"


def test_loss_table_compares_losses():
    runs = [replace(RUN, epochs=(replace(RUN.last, test_loss=x, seconds=8),)) for x in (0.015, 0.016, 0.017)]
    worse = [replace(RUN, epochs=(replace(RUN.last, test_loss=x, seconds=6),)) for x in (0.025, 0.026, 0.027)]
    table = loss_table({"good": runs, "bad": worse}, "good")
    assert [row[0] for row in table.rows] == ["good", "bad"]
    assert [row[3] for row in table.rows] == ["0.0160 ± 0.0010", "0.0260 ± 0.0010"]
    assert table.rows[0][4:] == ["–", "1.00"]
    assert str(table.rows[1][4]) == str(loss_difference(worse, runs))
    assert "significantly worse" in str(table.rows[1][4])
    assert table.rows[1][5] == "0.75"


def test_study_table_compares_each_variant_with_the_chosen_one():
    table = study_table({"good": ending(99.4, 99.5, 99.6), "bad": ending(98.0, 98.1, 98.2)}, "good")
    good, bad = table.rows
    assert table.header[3:5] == ["last validation accuracy", "lowest of last five"]
    assert good[3:5] == ["99.50 ± 0.10", "99.00"]
    assert good[-1] == "–"
    assert bad[3:5] == ["98.10 ± 0.10", "98.00"]
    assert bad[-1].startswith("-1.40")
    assert bad[-1].endswith("significantly worse")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"hardware": "a GPU"}, "a GPU, float32, 2 threads"),
        ({"precision": "bfloat16"}, "a CPU, bfloat16, 2 threads"),
        ({"threads": 1}, "a CPU, float32, 1 thread"),
    ],
)
def test_runs_are_counted_separately_by_hardware_precision_and_threads(other, named):
    one, two, three = ending(99.4, 99.5, 99.6)
    assert counted([one, two, three]) == "3"
    runs = [one, made_with(two, **other), three]
    assert counted(runs) == f"3 (2 on a CPU, float32, 2 threads; 1 on {named})"
    for table in (spread_table({"x": runs}), study_table({"x": runs}, "x"), Result(one, runs)):
        assert f"1 on {named}" in table.markdown()


def test_what_else_runs_were_made_with_does_not_part_them():
    one, two = ending(99.4, 99.5)
    assert counted([one, made_with(two, torch="another version")]) == "2"
