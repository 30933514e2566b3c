"""How many parameters a network has: every number that its answers depend on, counted once.

Counted are the parameters that the network registers, frozen ones and unused ones too, and whatever else enters its
operations: buffers, plain tensors, constants, and numbers that an operation is given, see `numbers_in`. Batch norm's
running statistics are counted apart. What an operation makes from nothing, as `torch.arange` does, costs nothing: an
index or a grid that is made in `forward` is free, and one that is kept in a buffer is not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.program import IMAGES, operation
from mnist_drill.judge.report import Parameters
from mnist_drill.judge.talk import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from mnist_drill.judge.program import Program

STATISTICS = (3, 4)  # where batch norm's operations take the running mean and variance
USUAL_EPS = 1e-5  # of torch's layers that normalize, which give it to their operations
LARGE = 1_000  # a whole number that could be the digits of several weights
FREE = 100  # whole numbers, and operations on what was made from nothing: no network has as many as it has weights


def count(program: Program, held: list[dict]) -> Parameters:
    """The numbers of a program that the judge carried out; `held` are the parameters that the network registers."""
    statistics = _running_statistics(program)
    by_memory: dict[int, list[int]] = defaultdict(list)
    for number in program.constants:
        if number not in statistics:
            by_memory[program.shared.get(number, -number)].append(number)
    used = {memory: _elements([program.constants[n] for n in numbers]) for memory, numbers in by_memory.items()}
    registered = {}
    frozen = 0
    for each in held:
        if each["memory"] not in registered:
            frozen += each["elements"] if each["frozen"] else 0
        registered[each["memory"]] = max(registered.get(each["memory"], 0), each["elements"])
    hidden = sum(elements for memory, elements in used.items() if memory not in registered)
    hidden += len(numbers_in(program))
    unused = sum(elements for memory, elements in registered.items() if memory not in used)
    more = sum(max(0, used.get(memory, 0) - elements) for memory, elements in registered.items())
    hidden += more  # what the process says of its memory is not believed against the values themselves
    return Parameters(
        counted=sum(registered.values()) + hidden,
        frozen=frozen,
        hidden=hidden,
        unused=unused,
        running_statistics=sum(program.constants[number].numel() for number in statistics),
    )


def numbers_in(program: Program) -> list[float]:
    """The numbers in its operations that count: those with a fraction, large ones, and whole ones beyond some.

    An operation on what was made from nothing could choose a number, too, by an index or a size, and is one of these.
    """
    counted, free = [], []
    known = {IMAGES, *program.constants}  # what depends on images or constants
    for place, (name, args, kwargs, outputs) in enumerate(program.calls):
        for number in _given(name, args, kwargs):
            (free if _is_plain(number) else counted).append(number)
        if known.isdisjoint(_tensors([args, *kwargs.values()])):
            free.append(place)  # whatever it chooses is as fixed as its place
        else:
            known.update(outputs)
    return counted + free[FREE:]


def _given(name: str, args: list, kwargs: dict) -> Iterator[float]:
    """The numbers that an operation computes with: no sizes or places, no defaults, and no momentum of batch norm."""
    arguments = operation(name)._schema.arguments
    by_name = {each.name: each for each in arguments}
    for argument, value in [*zip(arguments, args, strict=False), *((by_name[key], x) for key, x in kwargs.items())]:
        if "int" in str(argument.type).lower() or argument.name == "momentum":
            continue
        default = USUAL_EPS if argument.name == "eps" else argument.default_value
        for number in value if isinstance(value, list) else [value]:
            if type(number) in (int, float) and number != default:
                yield number


def _is_plain(number: float) -> bool:
    return not math.isfinite(number) or (number == int(number) and abs(number) < LARGE)


def hidden_names(program: Program, held: list[dict]) -> list[str]:
    """What enters the operations and is counted, but no registered parameter, with its shape, the largest first."""
    registered, statistics = {each["memory"] for each in held}, _running_statistics(program)
    found = {
        number: value
        for number, value in program.constants.items()
        if number not in statistics and program.shared.get(number) not in registered
    }
    order = sorted(found, key=lambda number: -found[number].numel())
    return [f"{line(program.names.get(n, 'a constant'))} {tuple(found[n].shape)}" for n in order]


def _running_statistics(program: Program) -> set[int]:
    """The constants that enter batch norm as its running mean and variance, and enter nothing else."""
    entering, as_statistics = set(), set()
    for name, args, kwargs, _ in program.calls:
        norm = "batch_norm" in name
        for place, argument in enumerate([*args, *kwargs.values()]):
            for number in _tensors(argument):
                (as_statistics if norm and place in STATISTICS else entering).add(number)
    return (as_statistics - entering) & program.constants.keys()


def _elements(values: list[Tensor]) -> int:
    """How many elements tensors in one memory have, those with the same values counted once, in whatever order."""
    different = {(value.numel(), value.flatten().sort().values.view(torch.uint8).numpy().tobytes()) for value in values}
    return sum(size for size, _ in different)


def _tensors(value: object) -> list[int]:
    if isinstance(value, dict):
        return [value["tensor"]] if "tensor" in value else []
    if isinstance(value, list):
        return [number for each in value for number in _tensors(each)]
    return []
