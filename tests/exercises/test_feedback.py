"""Feedback: one line, whatever a learner's function does; figures and mistakes are named."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_drill.exercises.feedback import (
    LONGEST,
    NotYet,
    Wrong,
    ask,
    checked,
    compare,
    number,
    parts,
    run,
    tensor,
)


@checked
def doubled(function):
    compare(ask(function, torch.ones(2)), torch.full((2,), 2.0), "the result", {"it is halved": torch.full((2,), 0.5)})
    return "doubled"


def test_right_wrong_and_nothing_are_told_apart():
    assert doubled(lambda x: 2 * x).right
    assert not doubled(lambda x: x).right
    for nothing in (..., lambda x: None, lambda x: ...):
        assert str(doubled(nothing)).startswith("not yet")

    def later(x):
        raise NotImplementedError

    assert str(doubled(later)).startswith("not yet")


def test_a_known_mistake_is_named_and_another_shows_both_figures():
    assert "halved" in str(doubled(lambda x: x / 2))
    assert "2.0000" in str(doubled(lambda x: 3 * x)) and "3.0000" in str(doubled(lambda x: 3 * x))
    assert "(2,)" in str(doubled(lambda x: x[:1])) and "(1,)" in str(doubled(lambda x: x[:1]))
    assert "not finite" in str(doubled(lambda x: x / 0))


def test_an_error_is_named_with_its_line():
    def two_lines(x):
        x = 2 * x
        return x[9]

    line = two_lines.__code__.co_firstlineno + 2
    assert f"IndexError: index 9 is out of bounds for dimension 0 with size 2 (line {line} " in str(doubled(two_lines))


def test_a_fault_of_a_check_itself_is_a_line_too():
    @checked
    def faulty(function):
        raise ZeroDivisionError("here")

    assert str(faulty(None)) == "✗ this could not be checked: ZeroDivisionError: here"


def test_gradients_are_recorded_even_where_the_caller_records_none():
    @checked
    def with_gradients(function):
        ask(function, torch.ones(1, requires_grad=True)).backward()
        return "with gradients"

    with torch.no_grad():
        assert with_gradients(lambda x: 2 * x).right


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers(),
    st.recursive(st.integers() | st.floats(), lambda x: st.lists(x) | st.tuples(x, x) | st.dictionaries(st.text(), x)),
    st.sampled_from([torch.zeros(2), torch.zeros(0), torch.ones(2, dtype=torch.bool), torch.eye(2).to_sparse(), 1j]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_whatever_a_function_returns_is_looked_at_without_an_error(value):
    looks = (
        lambda x: tensor(x, (2,), "it"),
        lambda x: number(x, "it"),
        lambda x: parts(x, ("a", "b"), "it"),
        lambda x: compare(x, torch.zeros(2), "it", {}),
        lambda x: ask(lambda: x),
        lambda x: run(x),
    )
    for look in looks:
        try:
            look(value)
        except (NotYet, Wrong) as answer:
            assert str(answer)
    assert len(str(doubled(lambda x: value))) <= LONGEST


@pytest.mark.parametrize("value", [2, 2.0, torch.tensor(2), torch.tensor([2.0]), torch.tensor(2.0, requires_grad=True)])
def test_a_number_may_be_a_tensor_with_one_element(value):
    assert number(value, "it") == 2.0
