import math
from dataclasses import replace

import pytest

from mnist_drill.course.statistics import LEVEL, difference, loss_difference
from mnist_drill.course.tables import (
    RUN_MIME,
    Result,
    Table,
    counted,
    epochs_table,
    mean_and_spread,
    precision,
    spread_table,
    study_table,
)
from mnist_drill.errors import DrillError
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


def test_the_readers_guess_stands_below_the_run_with_how_far_off_it_is():
    right = RUN.last.test_accuracy
    guessed = Result(RUN, guess=right - 0.5)
    assert [row for row in guessed.rows if row not in Result(RUN).rows] == [
        ["my guess", "–", "–", "–", "–", f"{right - 0.5:.2f}, off by -0.50", "–", "–"]
    ]
    assert Result(RUN, guess=0).rows[1][0] == "my guess"


@pytest.mark.parametrize("guess", ["99", 101, -1, math.nan, [99]])
def test_a_guess_that_is_no_accuracy_is_one_error(guess):
    with pytest.raises(DrillError, match=r"MY_GUESS is .* from 0 to 100"):
        Result(RUN, guess=guess)


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
    assert row == ["steady", "3", "float32", "99.00 ± 0.87", "98.00", "98.00", "0 of 3", "99.33 ± 0.31"]
    assert short[5:7] == ["–", "–"]  # one epoch has no last five
    assert spread_table({"steady": steady}).rows[0][6] == "2 of 2"
    assert spread_table({"steady": steady}, least=99.5).rows[0][6] == "0 of 2"


def test_a_column_is_added_after_another_one():
    table = Table(["name", "n"], [["a", 5], ["b", 6]])
    added = table.with_column("sign", ["+", "-"], after="name")
    assert (added.header, added.rows) == (["name", "sign", "n"], [["a", "+", "5"], ["b", "-", "6"]])
    assert table.header == ["name", "n"]
    with pytest.raises(ValueError, match=r"shorter|longer"):
        table.with_column("sign", ["+"], after="name")


def test_the_precision_of_runs_in_words():
    mixed = made_with(RUN, precision="bfloat16")
    assert [precision(runs) for runs in ([], [RUN, RUN], [mixed], [RUN, mixed])] == [
        "–", "float32", "bfloat16", "bfloat16 and float32",
    ]  # fmt: skip


def test_study_table_compares_each_variant_with_the_chosen_one_by_accuracy_and_by_loss():
    runs, worse = (
        [replace(RUN, epochs=(replace(RUN.last, test_accuracy=a, test_loss=x, seconds=s),)) for a, x, s in rows]
        for rows in (
            ((99.4, 0.015, 8), (99.5, 0.016, 8), (99.6, 0.017, 12)),
            ((99.4, 0.025, 6), (99.3, 0.026, 4), (99.5, 0.027, 10)),
        )
    )
    table = study_table({"good": runs, "bad": worse}, "good")
    assert table.header[2:6] == [
        "last validation accuracy", "accuracy against 'good'", "last validation loss", "loss against 'good'"
    ]  # fmt: skip
    good, bad = table.rows
    assert good[1:] == ["3", "99.50 ± 0.10", "–", "0.0160 ± 0.0010", "–", "1.00 (1.00 to 1.50)"]
    assert bad[1:3] == ["3", "99.40 ± 0.10"]
    assert bad[3] == difference(worse, runs).interval  # of so few seeds no significant difference, and no verdict
    assert bad[5] == f"significantly worse: {loss_difference(worse, runs).interval}"
    assert bad[6] == "0.75 (0.50 to 1.25)"


def test_study_table_without_a_chosen_variant_compares_each_with_the_row_above():
    high, low = ending(99.4, 99.5, 99.6), ending(98.0, 98.1, 98.2)
    table = study_table({"good": high, "bad": low, "good again": high}, None)
    assert "accuracy against the row above" in table.header
    assert [row[3] for row in table.rows] == [
        "–", f"significantly worse: {difference(low, high).interval}",
        f"significantly better: {difference(high, low).interval}",
    ]  # fmt: skip


def test_epochs_table_has_lowest_median_and_highest_of_the_seeds_after_each_epoch():
    runs = [replace(RUN, epochs=[replace(RUN.last, test_accuracy=x) for x in rows])
            for rows in ([10.0, 97.0], [90.0, 96.0], [80.0, 98.25])]  # fmt: skip
    table = epochs_table({"one": runs, "two": runs[:1]})
    assert table.header == ["variant", "seeds", "epoch 1", "epoch 2"]
    assert table.rows[0] == ["one", "3", "10.0, 80.0, 90.0", "96.0, 97.0, 98.2"]
    assert table.rows[1] == ["two", "1", "10.0, 10.0, 10.0", "97.0, 97.0, 97.0"]


def test_study_table_has_parameters_where_they_differ():
    runs = ending(99.4, 99.5)
    larger = [replace(run, parameters=12_345) for run in runs]
    assert "parameters" not in study_table({"one": runs, "two": runs}, "one").header
    assert [row[1] for row in study_table({"one": runs, "two": larger}, "one").rows] == ["9,712", "12,345"]


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
    header, *_ = study_table({"x": runs, "y": runs}, "x").markdown().splitlines()
    assert f"1 on {named}" in header, "once, where all rows are alike"
    assert "time" not in header
    apart = study_table({"x": runs, "y": [one, three]}, "x")
    assert [row[1] for row in apart.rows] == [counted(runs), "2"]


def test_a_result_says_how_far_its_seeds_are_from_those_of_other_stages():
    seeds, others = ending(99.4, 99.5, 99.6), ending(98.0, 98.1, 98.2)
    table = Result(RUN, seeds, against={"stage 1": others, "one": others[:1]})
    column = table.header.index("last test")
    assert [row[column] for row in table.rows[-2:]] == [str(difference(seeds, x)) for x in (others, others[:1])]
    assert {cell for row in table.rows[-2:] for cell in (*row[1:column], *row[column + 1 :])} == {"–"}
    assert len(Result(RUN, seeds).rows) == len(table.rows) - 2


def test_the_verdicts_of_a_result_are_corrected_for_the_number_of_stages():
    seeds, others = ending(99.4, 99.5, 99.6), ending(99.16, 99.26, 99.36)
    alone = difference(seeds, others)
    assert LEVEL / 2 < alone.p < LEVEL
    for stages, verdict in ((["stage 1"], "significantly better"), (["stage 1", "two"], "no significant difference")):
        rows = Result(RUN, seeds, against=dict.fromkeys(stages, others)).rows[-len(stages) :]
        assert [row[5] for row in rows] == [f"{alone.interval}: {verdict}"] * len(stages)


def test_what_else_runs_were_made_with_does_not_part_them():
    one, two = ending(99.4, 99.5)
    assert counted([one, made_with(two, torch="another version")]) == "2"
