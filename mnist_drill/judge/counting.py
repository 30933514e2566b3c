"""How many parameters a network has: every number that its answers depend on, counted once.

Counted are the parameters that the network registers, frozen ones and unused ones too, and whatever else enters its
operations: buffers, plain tensors, constants, and Python numbers that are multiplied or added. Batch norm's running
statistics are counted apart. What an operation makes from nothing, as `torch.arange` does, costs nothing: an index or
a grid that is made in `forward` is free, and one that is kept in a buffer is not.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.parts import base
from mnist_drill.judge.report import Parameters

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.program import Program

STATISTICS = (3, 4)  # where batch norm's operations take the running mean and variance
ARITHMETIC = ("add", "sub", "mul", "div", "rsub", "pow", "addcmul", "where")


def count(program: Program, held: list[dict]) -> Parameters:
    """The numbers of a program that the judge carried out; `held` are the parameters that the network registers."""
    numbers = 0
    for name, args, _, _ in program.calls:
        if base(name).rstrip("_") in ARITHMETIC:
            numbers += sum(isinstance(value, float) and not value.is_integer() for value in args)
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
    hidden = sum(elements for memory, elements in used.items() if memory not in registered) + numbers
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


def hidden_names(program: Program, held: list[dict]) -> list[str]:
    """What enters the operations and is counted, but no registered parameter, with its shape, the largest first."""
    registered, statistics = {each["memory"] for each in held}, _running_statistics(program)
    found = {
        number: value
        for number, value in program.constants.items()
        if number not in statistics and program.shared.get(number) not in registered
    }
    order = sorted(found, key=lambda number: -found[number].numel())
    return [f"{program.names.get(n, 'a constant')} {tuple(found[n].shape)}" for n in order]


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
