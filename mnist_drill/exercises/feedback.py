"""Feedback on what a learner wrote: `not yet: …`, `✓ …` or `✗ …`, in one line, whatever was written.

A check is a function under `checked`. It calls the learner's function by `ask` or `run`, looks at what came back by
`tensor`, `number` and `compare`, raises `NotYet` or `Wrong`, and returns what is to be said when all is right.
"""

from __future__ import annotations

import math
import traceback
from functools import wraps
from numbers import Real
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 300  # characters of a line of feedback


class NotYet(Exception):
    """There is nothing to check yet; its message says what is to be written."""


class Wrong(Exception):
    """What a learner wrote is not right; its message says what is wrong, in the learner's terms."""


class Feedback:
    """One line: `not yet: …`, `✓ …` or `✗ …`. A notebook shows it as it is."""

    def __init__(self, line: str):
        line = " ".join(line.split())
        self.line = line if len(line) <= LONGEST else line[: LONGEST - 2] + " …"

    @property
    def right(self) -> bool:
        return self.line.startswith("✓")

    def __repr__(self) -> str:
        return self.line


def checked(check: Callable[..., str]) -> Callable[..., Feedback]:
    """A check whose answer is a `Feedback`; only Ctrl-C comes through it.

    Random numbers are drawn from the same seed at every call, and torch's random state stays as it was; so does
    whether gradients are recorded.
    """

    @wraps(check)
    def feedback(*arguments, **named) -> Feedback:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(1)
            try:
                return Feedback(f"✓ {check(*arguments, **named)}")
            except NotYet as missing:
                return Feedback(f"not yet: {missing}")
            except Wrong as wrong:
                return Feedback(f"✗ {wrong}")
            except (Exception, SystemExit) as error:
                return Feedback(f"✗ this could not be checked: {said(error)}")

    return feedback


def ask(function, *arguments):
    """What the learner's function returns. Raises `NotYet` if that is nothing, `Wrong` if it raises an error."""
    answer = run(function, *arguments)
    if answer is None or answer is ...:
        raise NotYet(f"{name_of(function)} returns nothing")
    return answer


def run(function, *arguments, author=None):
    """Calls the learner's function, which may return nothing. Raises `NotYet` or `Wrong` as `ask` does.

    `author` is the learner's function where `function` only takes what that gave back, such as a generator.
    """
    if function is ...:
        raise NotYet("there is no function")
    if not callable(function):
        raise Wrong(f"the check takes a function; this is {kind(function)}")
    theirs = author or function
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        if isinstance(error, NotImplementedError) and not error.args:  # torch's own have a message
            raise NotYet(f"{name_of(theirs)} is not written") from None
        raise Wrong(f"{name_of(theirs)} raises {said(error)}{_line_of(theirs, error)}") from None


def named_line(line, right: set[int], hint: str = "look at what it does to the symptom") -> None:
    """Goes on where the learner named a faulty line, by its number. Raises `NotYet` or `Wrong` otherwise."""
    if line is ... or line is None:
        raise NotYet("name the faulty line by its number")
    if isinstance(line, bool) or not isinstance(line, int):
        raise Wrong(f"a line is named by its number, as in `line = 1`; this is {kind(line)}")
    if line not in right:
        raise Wrong(f"line {line} is not the fault: {hint}")


def tensor(answer, shape: tuple[int, ...], what: str) -> Tensor:
    """The learner's answer as a tensor of that shape, float64. Raises `Wrong` where it is none."""
    if not isinstance(answer, Tensor):
        raise Wrong(f"{what} must be a tensor of shape {tuple(shape)}; yours is {kind(answer)}")
    if answer.shape != torch.Size(shape):
        raise Wrong(f"{what} must have shape {tuple(shape)}; yours has {tuple(answer.shape)}")
    if answer.is_complex():
        raise Wrong(f"{what} must hold real numbers; yours holds {answer.dtype}")
    return answer.detach().cpu().double()


def number(answer, what: str) -> float:
    """The learner's answer as a number, which may be a tensor with one element. Raises `Wrong` where it is none."""
    if isinstance(answer, Tensor) and answer.numel() == 1 and not answer.is_complex():
        return float(answer.detach())
    if isinstance(answer, bool) or not isinstance(answer, Real):  # numpy's are of that kind, too
        raise Wrong(f"{what} must be a number; yours is {kind(answer)}")
    return float(answer)


def parts(answer, names: tuple[str, ...], what: str) -> tuple:
    """The learner's answer as a tuple of that many parts. Raises `Wrong` where it is none."""
    row = isinstance(answer, Tensor) and answer.dim() == 1
    if not (row or isinstance(answer, tuple | list)) or len(answer) != len(names):
        raise Wrong(f"{what} must return {len(names)} values ({', '.join(names)}); yours returns {kind(answer)}")
    return tuple(answer)


def compare(answer, right: Tensor, what: str, mistakes: Mapping[str, Tensor], tolerance: float = 1e-4) -> None:
    """Raises `Wrong` where the learner's answer differs from `right`, in shape or by more than the tolerance.

    `mistakes` are answers that people give, by what is wrong with them; the first that is the learner's is named.
    """
    yours, right = tensor(answer, tuple(right.shape), what), right.detach().double()
    if torch.allclose(yours, right, rtol=tolerance, atol=tolerance):
        return
    for mistake, values in mistakes.items():
        values = values.detach().double()
        if values.shape == yours.shape and torch.allclose(
            yours, values, rtol=tolerance, atol=tolerance, equal_nan=True
        ):
            raise Wrong(f"{what}: {mistake}")
    if not yours.isfinite().all():
        raise Wrong(f"{what}: yours has values that are not finite")
    differs = ((yours - right).abs() > tolerance * (1 + right.abs())).nonzero()
    place = tuple(differs[0].tolist()) if len(differs) else (0,) * right.dim()
    at = f" at {list(place)}" if place else ""
    raise Wrong(f"{what}{at} should be {float(right[place]):.4f}; yours says {float(yours[place]):.4f}")


def because(mistakes: Mapping[str, float], is_theirs: Callable[[float], bool]) -> str:
    """`: …` with the first of the mistakes whose number is the learner's; empty where none is."""
    return next((f": {why}" for why, value in mistakes.items() if is_theirs(value)), "")


def kind(value) -> str:
    """What a value is, in a few words: its type, and itself where that is short."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    shown = f" {value!r}" if isinstance(value, int | float | str) and len(repr(value)) < 30 else ""
    size = f" of length {len(value)}" if isinstance(value, tuple | list | dict) else ""
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}{shown}{size}"


def name_of(function) -> str:
    """The name of the learner's function."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"`{name}`" if isinstance(name, str) and name.isidentifier() else "the function"


def said(error: BaseException) -> str:
    """An error's type and message."""
    try:
        message = str(error).strip()
    except Exception:
        message = ""
    return f"{type(error).__name__}{': ' if message else ''}{message[:150]}"


def percent(accuracy: float) -> str:
    """An accuracy as feedback says it."""
    return "no number" if math.isnan(accuracy) else f"{accuracy:.1f} %"


def _line_of(function, error: BaseException) -> str:
    """Which line of the cell that defines the function raised the error; empty where that is not known."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1]} of its cell)" if lines else ""
