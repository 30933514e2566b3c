"""In the submission's process: which files it opens, what it starts, and which functions it replaces.

A second line behind `confinement`, for the reason that is given, and where the system closes nothing: code that means
to can get around it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Events of Python's audit hooks, and what the code does there.
OUTSIDE = {
    "socket.connect": "connects to the network",
    "socket.getaddrinfo": "asks the network for an address",
    "socket.sendto": "sends to the network",
    "urllib.Request": "asks the network for a page",
    "subprocess.Popen": "starts a program",
    "os.system": "starts a program",
    "os.exec": "starts a program",
    "os.posix_spawn": "starts a program",
    "os.fork": "starts a process",
}
CODE = (".py", ".pyc", ".so", ".dylib")
OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/")
WATCHED = ("mnist_drill", "torch.nn", "torch.optim", "torch.utils._python_dispatch", "torch.autograd.grad_mode")
ALSO = ("torch", "torch._tensor", "torch.ops", "builtins", "json", "socket", "struct", "sys", "os", "time",
        "safetensors.torch")  # fmt: skip


class Outside:
    """What the code does outside of its computation, while it is watched; `folder` and `file` are its own."""

    def __init__(self, hidden: list[str], folder: str, file: str):
        self.seen: list[str] = []
        self.watched = False
        self.hidden = hidden
        paths = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *filter(None, sys.path)}
        self.installed = tuple(os.path.realpath(path) + os.sep for path in paths)
        self.folder = os.path.realpath(folder) + os.sep
        self.file = os.path.realpath(file)  # from which Python itself shows a line, in an error
        sys.addaudithook(self._hook)

    @contextmanager
    def watch(self) -> Iterator[None]:
        self.watched = True
        try:
            yield
        finally:
            self.watched = False

    def _hook(self, event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            self._opened(os.path.realpath(os.fsdecode(arguments[0])))
        elif event in OUTSIDE and self.watched and not _importing():
            self._note(OUTSIDE[event])

    def _opened(self, path: str) -> None:
        if path == self.file:  # also where it lies in a folder that is hidden, as in a class
            return
        if any(f"{path}{os.sep}".startswith(f"{folder}{os.sep}") for folder in self.hidden):
            self._note(f"opens {path}")
            raise PermissionError(f"the judge keeps {path} closed: a network is given its images")
        installed = path.startswith(self.installed) and path.endswith(CODE)
        own = path.startswith(self.folder) and os.path.exists(path)
        if self.watched and not (installed or own or path.startswith(OF_THE_SYSTEM) or _importing()):
            self._note(f"opens {path.removeprefix(self.folder)}")

    def _note(self, what: str) -> None:
        if what not in self.seen and len(self.seen) < 20:
            self.seen.append(what[:200])


def _importing() -> bool:
    """Whether an import is under way: installed modules open files of theirs, and matplotlib asks for fonts."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def watch_functions() -> Callable[[], list[str]]:
    """A function that says which functions and classes, of those that judge and torch are made of, were replaced since.

    It uses none of them itself, so that nothing is gained from replacing its own parts.
    """
    modules = [
        (name, module) for name, module in list(sys.modules.items())
        if module is not None and (name in ALSO or any(f"{name}.".startswith(f"{each}.") for each in WATCHED))
    ]  # fmt: skip
    before = [(name, space, dict(_functions(space)), _inherited(space)) for name, space in _spaces(modules)]
    codes = {id(x): x.__code__ for _, _, own, _ in before for x in own.values() if isinstance(x, FunctionType)}

    def replaced(vars=vars, id=id) -> list[str]:
        found = []
        for name, space, own, inherited in before:
            now = vars(space)
            for key, value in own.items():
                code = codes.get(id(value))
                if now.get(key) is not value or (code is not None and value.__code__ is not code):
                    found.append(f"{name}.{key}")
            found += [f"{name}.{key}" for key in now.keys() - own.keys() if key in inherited]
        return found[:20]

    return replaced


def _inherited(space: object) -> set[str]:
    """What a class takes from others, and would hide if it were set in it."""
    if not isinstance(space, type):
        return set()
    return {key for base in space.__mro__[1:-1] for key in vars(base)} - vars(space).keys()


def _spaces(modules: list) -> Iterator[tuple[str, object]]:
    """Modules, and the classes that they define."""
    for name, module in modules:
        yield name, module
        for key, value in list(vars(module).items()):
            if isinstance(value, type) and value.__module__ == name:
                yield f"{name}.{key}", value
    import torch

    yield "torch.Tensor", torch._C.TensorBase


def _functions(space: object) -> Iterator[tuple[str, object]]:
    kinds = (FunctionType, BuiltinFunctionType, type, property, classmethod, staticmethod)
    descriptors = (type(str.join), type(str.__add__), type(dict.__dict__["fromkeys"]))
    for key, value in list(vars(space).items()):
        if isinstance(value, (*kinds, *descriptors)):
            yield key, value
