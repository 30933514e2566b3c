"""The exercises as the solutions have them: what a learner starts from, what solves it, and the call that checks it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise

import pytest

from mnist_drill.course.notebooks import exercise_notebooks


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook."""

    stem: str
    imports: str
    start: str
    solved: str
    call: str  # check.NAME(ARGUMENT, …)

    @property
    def name(self) -> str:
        return re.match(r"check\.(\w+)", self.call)[1]

    @property
    def module(self):
        return import_module(
            re.search(r"^from (mnist_drill\.exercises) import (\w+)", self.imports, re.M).expand(r"\1.\2")
        )

    @property
    def check(self):
        return getattr(self.module, self.name)

    @property
    def arguments(self) -> list[str]:
        return re.search(r"\((.*)\)", self.call)[1].split(", ")

    def space(self, code: str) -> dict:
        """What the notebook's imports and a cell define."""
        space: dict = {}
        exec(self.imports.replace("train_set, test_set = data.load()", ""), space)
        exec(code, space)
        return space

    def feedback(self, code: str, **changed):
        """What the check says to a cell, some of what it defines being changed."""
        space = self.space(code) | changed
        return self.check(*(space[name] for name in self.arguments))


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises, in order, by notebook and name of the check."""
    found = {}
    for book in exercise_notebooks(parts=("solutions",)):
        code = [cell for cell in book.read().cells if cell.cell_type == "code"]
        imports = next(cell.source for cell in code if "import" in cell.source and "REPOSITORY" not in cell.source)
        for cell, check in pairwise(code):
            if "start" in cell.metadata:
                new = Exercise(book.path.stem, imports, cell.metadata["start"], cell.source, check.source)
                found[f"{book.path.stem[:2]} {new.name}"] = new
    return found


SLOW = ("02 design",)  # trains for some seconds
every_exercise = pytest.mark.parametrize(
    "key", [pytest.param(key, marks=pytest.mark.slow) if key in SLOW else key for key in exercises()]
)
every_fault = pytest.mark.parametrize("key", [key for key, each in exercises().items() if "line" in each.arguments])
