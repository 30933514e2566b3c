"""What a learner's function does besides what it returns: steps of an optimizer, and calls of torch's functions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.overrides import TorchFunctionMode

from mnist_drill.exercises.feedback import Wrong, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def optimizer_steps(also: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
    """The steps that any optimizer takes meanwhile, by the names of their classes; `also` is called after each."""
    steps: list[str] = []

    def count(optimizer, *_) -> None:
        steps.append(type(optimizer).__name__)
        also()

    handle = register_optimizer_step_post_hook(count)
    try:
        yield steps
    finally:
        handle.remove()


class _Calls(TorchFunctionMode):
    """The names of torch's functions that are called meanwhile."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, function, types, arguments=(), named=None):
        self.names.add(getattr(function, "__name__", ""))
        return function(*arguments, **(named or {}))


def ask_by_hand(function, *arguments, without: tuple[str, ...]):
    """As `ask`. Raises `Wrong` where the learner's function calls one of torch's that does the whole exercise."""
    with _Calls() as calls:
        answer = ask(function, *arguments)
    found = [name for name in without if name in calls.names]
    if found:
        raise Wrong(f"that is torch's own `{found[0]}`: write what it does yourself")
    return answer
