"""A network as the operations that it carried out on a batch: data, which is looked at, counted and carried out again.

The operations are torch's own, `aten`, as they reach its dispatcher: whatever the network is written with, a module, a
functional form, a plain tensor or a constant, each operation and each tensor that enters it is seen. What is carried
out again has no memory, no other weights than those counted, and no code of its author.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

IMAGES = 0  # the number of the tensor that the program is given
BATCH = 100  # images that a program is recorded on, and carried out on
SIZES = (1, 2, 3, 7, 31, BATCH)  # of batches that a network is given
# By the names of these batches, how many images are in each: the last two have all, in another order and once more.
BATCHES = {f"{size} image{'s' * (size > 1)}": size for size in SIZES} | {"backwards": BATCH, "again": BATCH}
MOST_CALLS = 20_000
REINTERPRETING = (("view", "dtype"), ("view_copy", "dtype"))  # operations that make several numbers of one
NAMES = ("dtype", "layout", "memory_format")  # kinds of torch's constants that are arguments


class NotReplayable(Exception):
    """What was recorded cannot be carried out again as data; the message says why."""


@dataclass
class Program:
    """Calls in order, each `[operation, arguments, keyword arguments, outputs]`, tensors by number; and constants.

    A constant is a tensor that enters an operation and that none before has made: a parameter, a buffer, any other; and
    each parameter that the network registers, where it enters none, too.
    """

    calls: list[list] = field(default_factory=list)
    result: int | None = None  # the tensor that the network returned
    constants: dict[int, Tensor] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)  # of the constants, as `state_dict` has them
    lies: dict[int, tuple[int, list[int]]] = field(default_factory=dict)  # by constant: its address, and its strides
    registered: dict[int, bool] = field(default_factory=dict)  # of the constants, the parameters: whether it is trained
    fault: str = ""  # why it cannot be carried out again
    from_images: bool = True  # whether its result comes from the images by torch's operations

    def head(self) -> dict:
        """All but the constants' values, as plain data."""
        lies = {n: [list(x.shape), *self.lies[n]] for n, x in self.constants.items()}
        return {
            "calls": self.calls, "result": self.result, "names": _texts(self.names), "lies": _texts(lies),
            "registered": _texts(self.registered), "fault": self.fault, "from_images": self.from_images,
        }  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """The constants' values by number."""
        return {str(n): x.detach().clone(memory_format=torch.contiguous_format) for n, x in self.constants.items()}

    @classmethod
    def from_parts(cls, head: dict, tensors: dict[str, Tensor]) -> Program:
        """The inverse of `head` and `tensors`. Raises KeyError, TypeError, ValueError or AttributeError otherwise."""
        constants, lies = {}, {}
        for number, (shape, address, strides) in head["lies"].items():
            value = tensors[str(number)]
            if list(value.shape) != shape:
                raise ValueError(f"constant {number} is not of its shape")
            constants[int(number)] = _laid_out(value, strides)
            lies[int(number)] = int(address), [int(stride) for stride in strides]
        calls = [[str(name), list(args), dict(kwargs), list(outputs)] for name, args, kwargs, outputs in head["calls"]]
        result = head["result"] if head["result"] is None else int(head["result"])
        names = {int(number): str(name) for number, name in head["names"].items()}
        registered = {int(number): bool(trained) for number, trained in head["registered"].items()}
        if not registered.keys() <= constants.keys():
            raise ValueError("a parameter without its values")
        return cls(calls, result, constants, names, lies, registered, str(head["fault"]), bool(head["from_images"]))

    @property
    def structure(self) -> list:
        """What two programs of one network have in common whatever its weights are."""
        shapes = [[n, list(x.shape), str(x.dtype)] for n, x in sorted(self.constants.items())]
        return [self.calls, self.result, shapes]

    @property
    def used(self) -> set[int]:
        """The constants that enter an operation."""
        return self.constants.keys() & {number for call in self.calls for number in numbers_of(call[1:3])}

    def run(self, images: Tensor, look: Callable[[str, list, list], None] | None = None) -> Tensor:
        """The logits of a batch of `BATCH` normalized images. `look` is shown each call with its tensors.

        Raises `NotReplayable`, or whatever torch raises for calls that do not fit.
        """
        values: dict[int, Tensor] = {**self.constants, IMAGES: images}
        last = {number: place for place, call in enumerate(self.calls) for number in numbers_of(call[1:])}
        for place, (name, args, kwargs, outputs) in enumerate(self.calls):
            given, named = _decoded(args, values), _decoded(kwargs, values)
            made = operation(name)(*given, **named)
            results = list(made) if isinstance(made, tuple | list) else [made]
            if look is not None:
                look(name, given, results)
            for number, value in zip(outputs, results, strict=True):
                if number is not None:
                    values[number] = value
            for number in [*numbers_of(args), *numbers_of(kwargs), *outputs]:
                if number != self.result and last.get(number, -1) <= place:
                    values.pop(number, None)
        if self.result is None or not isinstance(values.get(self.result), Tensor):
            raise NotReplayable("it returns no tensor")
        return values[self.result]


class Recorder(TorchDispatchMode):
    """A mode that records the operations within it, on `images`, as `program`."""

    def __init__(self, images: Tensor):
        super().__init__()
        self.program = Program()
        self.kept: list[Tensor] = []  # so that no other tensor gets the identity of one of them
        self.numbers: dict[int, int] = {}
        self.from_images = {_memory(images)}  # memory that holds what depends on the images
        self._number(images)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        call = [str(operation), self._encoded(list(args)), self._encoded(dict(kwargs)), []]
        given = [self.kept[number] for number in numbers_of(call[1:3])]
        from_images = any(_memory(each) in self.from_images for each in given)
        if call[0] == "aten._local_scalar_dense.default" and from_images:
            self._fault("it reads a value that depends on its images as a number: .item(), or an if")
        made = operation(*args, **kwargs)
        results = list(made) if isinstance(made, tuple | list) else [made]
        for result in results:
            number = self._number(result) if isinstance(result, Tensor) else None
            call[3].append(number)
            if from_images and number is not None and result.numel():
                self.from_images.add(_memory(result))
        if len(self.program.calls) < MOST_CALLS:
            self.program.calls.append(call)
        else:
            self._fault(f"it needs more than {MOST_CALLS:,} operations for a batch")
        return made

    def finish(self, logits: object, network: nn.Module) -> Program:
        """The program, once the network has returned `logits`."""
        if isinstance(logits, Tensor):
            self.program.result = self.numbers.get(id(logits))
            self.program.from_images = self.program.result is not None and _memory(logits) in self.from_images
        for parameter in network.parameters():
            number = self._encoded(parameter)["tensor"]
            if number in self.program.constants:
                self.program.registered[number] = parameter.requires_grad
        memories = {_memory(x): name for name, x in network.state_dict(keep_vars=True).items()}
        for number in self.program.constants:
            memory = _memory(self.kept[number])
            if memory in memories:
                self.program.names[number] = memories[memory]
        return self.program

    def _number(self, tensor: Tensor) -> int:
        if id(tensor) not in self.numbers:
            self.numbers[id(tensor)] = len(self.kept)
            self.kept.append(tensor)
        return self.numbers[id(tensor)]

    def _encoded(self, value: Any) -> Any:
        """Arguments as plain data. A tensor that nothing has made is a constant, whose value is kept as it is now."""
        if isinstance(value, Tensor):
            new = id(value) not in self.numbers
            number = self._number(value)
            if new:
                self.program.constants[number] = _copy(value)
                self.program.lies[number] = value.data_ptr(), list(value.stride())
            return {"tensor": number}
        if isinstance(value, list | tuple):
            return [self._encoded(each) for each in value]
        if isinstance(value, dict):
            return {key: self._encoded(each) for key, each in value.items()}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
            kind = type(value).__name__
            return {kind: str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": "cpu"}
        self._fault(f"an operation is given a {type(value).__name__}")
        return None

    def _fault(self, fault: str) -> None:
        self.program.fault = self.program.fault or fault


def operation(name: str) -> Callable:
    """torch's operation of that name.

    Raises `NotReplayable` for one of another library, for one on files, and for one that unpacks numbers from another.
    """
    space, _, rest = name.partition(".")
    base, _, overload = rest.rpartition(".")
    if (base, overload) in REINTERPRETING:
        raise NotReplayable("it takes the bytes of numbers for other numbers: .view(dtype)")
    if space != "aten" or "file" in base or not base.isidentifier() or not overload.isidentifier():
        raise NotReplayable(f"it uses {name[:60]}, which is none of torch's own operations on tensors")
    try:
        return getattr(getattr(torch.ops.aten, base), overload)
    except AttributeError:
        raise NotReplayable(f"it uses {name[:60]}, which torch does not have") from None


def _decoded(value: Any, values: dict[int, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decoded(each, values) for each in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return values[value["tensor"]]
        if "device" in value and len(value) == 1 and isinstance(value["device"], str):
            return torch.device("cpu")
        if len(value) == 1 and (kind := next(iter(value))) in NAMES and isinstance(value[kind], str):
            constant = getattr(torch, value[kind], None)
            if type(constant).__name__ != kind:
                raise NotReplayable(f"torch has no {kind} {value[kind]!r:.40}")
            return constant
        return {key: _decoded(each, values) for key, each in value.items()}
    return value


def numbers_of(value: Any) -> Iterator[int]:
    """The numbers of the tensors in encoded arguments."""
    if isinstance(value, list):
        for each in value:
            yield from numbers_of(each)
    elif isinstance(value, dict):
        if "tensor" in value:
            yield value["tensor"]
        else:
            for each in value.values():
                yield from numbers_of(each)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _copy(tensor: Tensor) -> Tensor:
    """A copy in memory of its own, its elements in the same order there."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return _laid_out(tensor, list(tensor.stride()))


def _laid_out(value: Tensor, stride: list[int]) -> Tensor:
    """A copy with those strides; contiguous where they leave gaps or make elements share a place."""
    span = 1 + sum((size - 1) * step for size, step in zip(value.shape, stride, strict=True))
    if value.numel() and span == value.numel():
        return torch.empty_strided(value.shape, stride, dtype=value.dtype).copy_(value)
    return value.clone(memory_format=torch.contiguous_format)


def _texts(values: dict[int, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in values.items()}
