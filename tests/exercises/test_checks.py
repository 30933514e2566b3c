"""Every check, on what the notebooks hold: the solution, the starting point, and answers of hostile kinds."""

import pytest
import torch

from mnist_drill.exercises.feedback import LONGEST
from tests.exercises.books import every_exercise, every_fault, exercises


def one_line(feedback):
    line = str(feedback)
    assert "\n" not in line
    assert 5 < len(line) <= LONGEST
    return line


@every_exercise
def test_the_solution_is_right(mnist, key):
    exercise = exercises()[key]
    assert one_line(exercise.feedback(exercise.solved)).startswith("✓")


@every_exercise
def test_the_starting_point_is_not_yet_right(mnist, key):
    exercise = exercises()[key]
    assert one_line(exercise.feedback(exercise.start)).startswith("not yet: ")


@every_fault
def test_a_fault_whose_line_is_named_has_still_to_be_fixed(mnist, key):
    exercise = exercises()[key]
    line = exercise.space(exercise.solved)["line"]
    told = one_line(exercise.feedback(exercise.start, line=line))
    assert told.startswith("✗")
    assert "raises" not in told  # the fault is one that nobody is told by an error


@every_fault
def test_a_function_that_is_right_does_not_make_up_for_another_line(mnist, key):
    exercise = exercises()[key]
    for line, begins in ((99, "✗ line 99"), ("1", "✗"), (True, "✗"), (None, "not yet"), ([], "✗")):
        assert one_line(exercise.feedback(exercise.solved, line=line)).startswith(begins)


def test_training_mode_may_be_set_again_after_the_evaluation(mnist):
    exercise = exercises()["03 modes"]
    solved = exercise.solved.replace("        model.train()", "        pass")
    solved = solved.replace("    for _ in", "    model.train()\n    for _ in", 1)
    solved = solved.replace("evaluate(model, test_set)", "evaluate(model, test_set); model.train()")
    assert str(exercise.feedback(solved, line=8)).startswith("✓")


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError


def raises(*_):
    raise Unspeakable


def several_lines(*_):
    raise ValueError("first line\nsecond line\n" + 1000 * "x")


class Strange:
    """Neither compared, nor printed, nor named."""

    __slots__ = ()

    def __eq__(self, other):
        raise ValueError

    __hash__ = None

    def __repr__(self):
        raise ValueError

    def __getattr__(self, name):
        raise RuntimeError(name)


HOSTILE = {
    "nothing": None,
    "a text": "text",
    "raises": raises,
    "several lines": several_lines,
    "exit": lambda *_: exit(),
    "no arguments": lambda: 1,
    "returns a text": lambda *_: "text",
    "returns a tensor": lambda *_: torch.zeros(2, 90),
    "returns not a number": lambda *_: float("nan"),
    "returns complex numbers": lambda *_: torch.zeros(3, dtype=torch.complex64),
    "returns nested lists": lambda *_: [[1], [[2]], "a"],
    "returns texts": lambda *_: ("a", "b", "c"),
    "returns a network": lambda *_: torch.nn.Linear(3, 4),
    "returns itself strangely": lambda *_: Strange(),
    "strange": Strange(),
}


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize("key", exercises())
def test_no_answer_raises_an_error_or_is_taken_for_right(mnist, key, answer):
    exercise = exercises()[key]
    solved = exercise.space(exercise.solved)
    functions = [name for name in exercise.arguments if name != "line"]
    for name in functions:
        arguments = [HOSTILE[answer] if each == name else solved[each] for each in exercise.arguments]
        assert one_line(exercise.check(*arguments)).startswith(("✗", "not yet"))


@pytest.mark.parametrize("key", exercises())
def test_a_call_without_arguments_is_answered(key):
    assert one_line(exercises()[key].check()).startswith("✗")


def test_ctrl_c_ends_a_check(mnist):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercises()["01 convolution"].check(interrupted)


def test_a_check_leaves_torchs_random_state_as_it_was(mnist):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    exercise = exercises()["03 dropout"]
    exercise.feedback(exercise.solved)
    assert torch.equal(torch.get_rng_state(), before)
