import pytest

from mnist_drill.errors import DrillError
from mnist_drill.study import search


def test_a_grid_is_every_combination_by_name():
    rows = search.grid({"recipe": {"learning_rate": [0.1, 0.2]}, "arguments": {"dropout": [0, 0.05]}})
    assert rows == [
        (f"learning_rate {rate}, dropout {dropout}",
         {"recipe": {"learning_rate": rate}, "arguments": {"dropout": dropout}})
        for rate in (0.1, 0.2) for dropout in (0, 0.05)
    ]  # fmt: skip
    assert search.count({"recipe": {"learning_rate": [0.1, 0.2]}, "arguments": {"dropout": [0, 0.05]}}) == 4


def test_names_say_as_much_as_is_needed():
    ((name, _),) = search.grid({"recipe": {"rate": [1]}, "arguments": {"rate": [2]}, "network": ["stage4"]})
    assert name == "recipe.rate 1, arguments.rate 2, stage4"
    (constant, stepped) = search.grid({"recipe": {"schedule": ["constant", {"every": 0.4}]}})
    assert (constant[0], stepped[0]) == ("schedule constant", "schedule every 0.4")


def test_no_grid_is_one_row_that_changes_nothing():
    assert search.grid({}) == [("", {})]


def test_draws_lie_in_their_ranges_and_are_spread_over_them():
    table = {
        "recipe": {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}, "batch_size": {"low": 2, "high": 4}},
        "arguments": {"dropout": [0.0, 0.1], "width": {"low": 1.0, "high": 3.0}},
    }
    rows = [row for _, row in search.drawn(table, 300, seed=1)]
    rates = [row["recipe"]["learning_rate"] for row in rows]
    assert all(0.01 <= rate <= 1 for rate in rates)
    assert 0.4 < sum(rate < 0.1 for rate in rates) / len(rows) < 0.6  # half of the scale
    assert {row["recipe"]["batch_size"] for row in rows} == {2, 3, 4}
    assert {row["arguments"]["dropout"] for row in rows} == {0.0, 0.1}
    widths = [row["arguments"]["width"] for row in rows]
    assert all(1 <= width <= 3 for width in widths)
    assert 0.4 < sum(width < 2 for width in widths) / len(rows) < 0.6


def test_rounding_leaves_no_range():
    rows = search.drawn({"recipe": {"momentum": {"low": 0.99991, "high": 0.99999}}}, 50, seed=1)
    assert {row["recipe"]["momentum"] for _, row in rows} == {0.99991, 0.99999}


def test_more_samples_begin_with_the_same_ones_and_another_seed_draws_others():
    table = {"recipe": {"learning_rate": {"low": 0.01, "high": 1.0}}}
    assert search.drawn(table, 20, seed=1)[:5] == search.drawn(table, 5, seed=1)
    assert search.drawn(table, 5, seed=2) != search.drawn(table, 5, seed=1)
    # On every machine and in every version of Python.
    assert [name for name, _ in search.drawn(table, 2, seed=1)] == ["learning_rate 0.143", "learning_rate 0.849"]


def test_what_is_drawn_again_is_left_out():
    assert len(search.drawn({"recipe": {"batch_size": [64, 128]}}, 50, seed=1)) == 2


@pytest.mark.parametrize(
    "choice",
    [0.1, [], {"low": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 0, "high": 1, "step": 1},
     {"low": float("nan"), "high": 1.0}, {"low": "a", "high": "b"}, {"low": 1, "high": 2, "log": "yes"}],
)  # fmt: skip
def test_what_cannot_be_drawn_from_is_one_error(choice):
    with pytest.raises(DrillError, match=r"recipe\.momentum"):
        search.drawn({"recipe": {"momentum": choice}}, 3, seed=1)


@pytest.mark.parametrize("choice", [0.1, [], "sgd", {"low": 0, "high": 1}])
def test_what_is_no_list_is_no_grid(choice):
    with pytest.raises(DrillError, match=r"recipe\.momentum of the grid has to be a list"):
        search.grid({"recipe": {"momentum": choice}})
