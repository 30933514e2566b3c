"""A network as a study names it: by name, or as a class or function in a file of the user's, with arguments."""

from __future__ import annotations

import ast
import hashlib
import linecache
import sys
import textwrap
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import nn

from mnist_drill.errors import DrillError, Interrupted, unknown
from mnist_drill.models import function_of
from mnist_drill.networks import definition, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Network:
    """How to build a network, as plain data that any process can be given.

    `name` is that of a network that `models` knows or, with a `file`, of a class or function in it. The text of
    the file is kept: what is trained is what was read with the study, whatever is saved meanwhile.
    """

    name: str
    arguments: dict[str, object] = field(default_factory=dict)
    file: str = ""
    text: str = ""

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.file and self.file + ':'}{self.name}{arguments and f'({arguments})'}"

    @property
    def source(self) -> str:
        """A digest of what the file says of this network; empty for one without a file."""
        return hashlib.sha256(source_of(self.text, self.name, self.file).encode()).hexdigest()[:16] if self.file else ""

    def function(self) -> Callable[[], nn.Module]:
        """What makes a fresh network, with weights from torch's generator. Raises whatever the user's file raises."""
        if not self.file:
            return partial(function_of(self.name), **self.arguments)
        module = _executed(self.file, self.text)
        if not callable(getattr(module, self.name, None)):
            names = source_names(self.text, self.file)
            if not names:
                raise DrillError(f"{self.file} defines no class or function, and {self.name!r} is asked of it")
            raise unknown(f"network in {self.file},", self.name, names)
        return partial(getattr(module, self.name), **self.arguments)

    def build(self, seed: int) -> nn.Module:
        """A fresh network, its weights initialized from `seed`. Raises whatever the user's file raises."""
        # The file is executed before the generator is seeded: whatever it draws does not move the weights.
        return seeded(self.function(), seed)

    def checked(self) -> str:
        """The network's `networks.definition`, after it has classified two images. Raises whatever is wrong with it."""
        network = self.build(0)
        if not isinstance(network, nn.Module):
            raise DrillError(f"{self} makes a {type(network).__name__}, not a torch.nn.Module")
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise DrillError(f"{self} has no parameter to train")
        digest = definition(network)
        with torch.inference_mode():
            logits = network.eval()(torch.zeros(2, 1, 28, 28))
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if shape != (2, 10):
            raise DrillError(f"{self} makes {shape} of images of shape (2, 1, 28, 28), where logits have shape (2, 10)")
        return digest


@contextmanager
def in_one_line(where: str, file: str = "") -> Iterator[None]:
    """Whatever fails within is a `DrillError` that says where: in which row, and in which line of the user's file."""
    try:
        yield
    except DrillError as error:
        raise DrillError(f"{where}: {error}") from None
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"{file}, line {frame.lineno}, " for frame in frames if file and frame.filename == file]
        message = textwrap.shorten(_text_of(error), 300)
        raise DrillError(f"{where}: {lines[-1] if lines else ''}{type(error).__name__}: {message}") from None


def _text_of(error: BaseException) -> str:
    """What an exception says, which may be another one: Python makes no text of a number of thousands of digits."""
    try:
        return str(error)
    except Exception as failed:
        return f"what it says cannot be told ({type(failed).__name__})"


@lru_cache
def source_of(text: str, name: str, file: str = "<unknown>") -> str:
    """What a file says of one of its names: its definition and, in turn, the statements that define what that uses.

    A statement that defines no name counts always, and so does a decorated definition, which a decorator may register:
    each may change anything. Comments, formatting, and definitions that are not used do not count; nor does the source
    of modules that the file imports.
    """
    statements = [statement for statement in ast.parse(text, file).body if not _is_text(statement)]
    used, kept = {name}, set()
    while True:
        more = {
            place
            for place, statement in enumerate(statements)
            if place not in kept and (not (names := _defined(statement)) or names & used or "*" in names)
        }
        if not more:
            return "\n".join(ast.unparse(statements[place]) for place in sorted(kept))
        kept |= more
        used |= {x.id for place in more for x in ast.walk(statements[place]) if isinstance(x, ast.Name)}


def source_names(text: str, file: str = "<unknown>") -> list[str]:
    """The classes and functions that a file defines."""
    definitions = (ast.ClassDef, ast.FunctionDef)
    return [statement.name for statement in ast.parse(text, file).body if isinstance(statement, definitions)]


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        # A decorator is called with what it decorates, whoever uses the name.
        return set() if statement.decorator_list else {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        stored = [x for target in targets for x in ast.walk(target) if isinstance(getattr(x, "ctx", None), ast.Store)]
        # An element or an attribute of something belongs to no name alone.
        return set() if any(isinstance(x, ast.Attribute | ast.Subscript) for x in stored) else _names(stored)
    return set()


def _names(nodes: list[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def executed(file: str, text: str) -> ModuleType:
    """The file as a module of its own. Raises whatever it raises."""
    name = f"network_file_{hashlib.sha256(f'{file} {text}'.encode()).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # where dataclasses and pickle look for it
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    exec(compile(text, file, "exec"), module.__dict__)
    return module


_executed = lru_cache(executed)  # once in each process
