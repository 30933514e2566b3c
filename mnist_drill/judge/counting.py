"""How many parameters a network has: every number that its answers depend on, counted once.

Counted are the parameters that the network registers, frozen ones and unused ones too, and whatever else enters its
operations: buffers, plain tensors, constants, and numbers that an operation is given, see `numbers_in`. A number is a
place in memory: tensors that share places count once, as long as they agree on the values there. Batch norm's running
statistics are counted apart, up to the number of its weights and biases. What an operation makes from nothing, as
`torch.arange` does, costs nothing: an index or a grid that is made in `forward` is free, and one that is kept in a
buffer is not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.program import IMAGES, operation
from mnist_drill.judge.report import Parameters
from mnist_drill.judge.talk import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from mnist_drill.judge.program import Program

AFFINE, STATISTICS = (1, 2), (3, 4)  # where batch norm's operations take weight and bias, running mean and variance
USUAL_EPS = 1e-5  # of torch's layers that normalize, which give it to their operations
WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # whole numbers of as many bytes
MOST_PLACES = 2_000_000  # beyond any budget: of more numbers it does not matter which share a place
LARGE = 1_000  # a whole number that could be the digits of several weights
FREE_ARGUMENTS = 5_000  # of all operations: a network with a thousand layers has as many
FREE = 100  # whole numbers, and operations on what was made from nothing: no network has as many as it has weights


def count(program: Program) -> Parameters:
    """The numbers of a program that the judge carried out."""
    statistics = _entering_batch_norm(program, STATISTICS) - program.registered.keys()
    weights = program.constants.keys() - statistics
    free = _free_statistics(program, statistics)
    trained = [number for number, is_trained in program.registered.items() if is_trained]
    counted = _elements(program, weights) + _elements(program, statistics) - free
    counted += len(numbers_in(program)) + max(0, _arguments(program) - FREE_ARGUMENTS)
    registered = _elements(program, program.registered)
    return Parameters(
        counted=counted,
        frozen=registered - _elements(program, trained),
        hidden=counted - registered,
        unused=_elements(program, weights) - _elements(program, weights & program.used),
        running_statistics=free,
    )


def _arguments(program: Program) -> int:
    """How many numbers and tensors its operations are given: a table may be written as the indices that they take."""
    left, found = [call[1:3] for call in program.calls], 0
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            left += value.values() if isinstance(value, dict) else value
        else:
            found += 1
    return found


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


def hidden_names(program: Program) -> list[str]:
    """What enters the operations and is counted, but no registered parameter, with its shape, the largest first."""
    hidden = program.constants.keys() - program.registered.keys()
    statistics = hidden & _entering_batch_norm(program, STATISTICS)
    if _elements(program, statistics) == _free_statistics(program, statistics):
        hidden -= statistics
    found = {number: program.constants[number] for number in sorted(hidden)}
    order = sorted(found, key=lambda number: -found[number].numel())
    return [f"{line(program.names.get(n, 'a constant'))} {tuple(found[n].shape)}" for n in order]


def _free_statistics(program: Program, statistics: set[int]) -> int:
    """How many of the running statistics are free: in each batch norm, as many as it has weights and biases of its own.

    Beside these they are no numbers more: a channel is shifted and scaled, by whatever that is made of.
    """
    affine = _entering_batch_norm(program, AFFINE)
    free, seen = 0, set()
    for name, args, _, _ in program.calls:
        if _is_batch_norm(name):
            entering = set(_tensors(args)) - seen
            free += min(_elements(program, entering & statistics), _elements(program, entering & affine))
            seen |= entering
    return min(free, _elements(program, statistics), _elements(program, affine))


def _entering_batch_norm(program: Program, places: tuple[int, ...]) -> set[int]:
    """The constants that enter batch norm at these places of its arguments, and nothing else."""
    entering, elsewhere = set(), set()
    for name, args, kwargs, _ in program.calls:
        for place, argument in enumerate([*args, *kwargs.values()]):
            there = _is_batch_norm(name) and place in places
            (entering if there else elsewhere).update(_tensors(argument))
    return (entering - elsewhere) & program.constants.keys()


def _is_batch_norm(name: str) -> bool:
    return "batch_norm" in name and "backward" not in name


def _elements(program: Program, constants: Iterable[int]) -> int:
    """How many numbers some constants hold: as many as places in memory, whatever views of these they are.

    Where they do not agree on the value at a place, they are no places in a memory, and each value counts: which ones
    tensors share is the word of a submission's process.
    """
    constants = sorted(constants)
    total = sum(real(program.constants[number]).numel() for number in constants)
    if not total or total > MOST_PLACES:
        return total
    places = torch.cat([_places(program, number) for number in constants])
    values = torch.cat([_bits(real(program.constants[number])) for number in constants])
    order = places.argsort()
    places, values = places[order], values[order]
    again = places[1:] == places[:-1]
    return total if (again & (values[1:] != values[:-1])).any() else total - int(again.sum())


def values_by_place(program: Program) -> dict[int, Tensor]:
    """By constant that is used, the values at places in memory that no constant before it has, of shape (places,); of a
    very large one, those of its first elements."""
    found, known = {}, torch.empty(0, dtype=torch.long)
    for number in sorted(program.used):
        places = _places(program, number)[:MOST_PLACES]
        values = real(program.constants[number]).flatten()[:MOST_PLACES].double()
        order = places.argsort()
        places, values = places[order], values[order]
        new = ~torch.isin(places, known)
        new[1:] &= places[1:] != places[:-1]
        found[number] = values[new]
        known = torch.cat([known, places[new]])
    return found


def _places(program: Program, number: int) -> Tensor:
    """Where in memory the elements of a constant lie, one after the other; in a unit that sets apart what is of another
    width."""
    value, (address, strides) = program.constants[number], program.lies[number]
    if value.is_complex():
        value, strides = real(value), [*(2 * stride for stride in strides), 1]
    width, places = value.element_size(), torch.tensor(address)
    for size, stride in zip(value.shape, strides, strict=True):
        places = places.unsqueeze(-1) + torch.arange(size) * (stride * width)
    return places.flatten() * 16 + width


def real(value: Tensor) -> Tensor:
    """With the two parts of each complex number as numbers."""
    return torch.view_as_real(value) if value.is_complex() else value


def _bits(value: Tensor) -> Tensor:
    """As whole numbers, which are equal where all bits are."""
    return value.flatten().view(WHOLE[value.element_size()]).long()


def _tensors(value: object) -> list[int]:
    if isinstance(value, dict):
        return [value["tensor"]] if "tensor" in value else []
    if isinstance(value, list):
        return [number for each in value for number in _tensors(each)]
    return []
