"""The notebooks, and what the records of the stages say of each; the appendix has a record of its own here."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from mnist_drill.course.notebooks import ROOT, Notebook
from mnist_drill.evidence.stored import load_runs, load_study
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.models import build_without_values
from mnist_drill.networks import parameter_count
from mnist_drill.recipes import ADAPTED
from mnist_drill.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from mnist_drill.recipes import Recipe
    from mnist_drill.runs import Run


@dataclass(frozen=True)
class Page:
    """A notebook as it is stored."""

    stem: str

    @property
    def notebook(self) -> Notebook:
        return Notebook(ROOT / "notebooks" / f"{self.stem}.ipynb")

    @cached_property
    def cells(self) -> list[NotebookNode]:
        return self.notebook.read().cells

    @property
    def code(self) -> list[NotebookNode]:
        return [cell for cell in self.cells if cell.cell_type == "code"]


@dataclass(frozen=True)
class Book(Page):
    """A notebook with a run, and what is expected of it."""

    network: str  # that it introduces
    recipe: Recipe
    parameters: int
    seeds: int
    compared_with: tuple[str, ...]  # evidence that its analysis is given, after the run itself
    stored: Callable[[], list[Run]]  # the runs of its network and recipe over many seeds


def stage_book(name: str) -> Book:
    stage = STAGES[name]
    return Book(
        stage.notebook, name, stage.recipe, stage.parameters, stage.seeds, stage.compared_with, lambda: load_runs(name)
    )


APPENDIX = Book(
    stem="appendix_big_networks",
    network="resnet18",
    recipe=ADAPTED.with_epochs(1),
    parameters=parameter_count(build_without_values("resnet18")),
    seeds=len(STUDIES["freezing"].seeds),
    compared_with=("stage4",),
    stored=lambda: load_study("freezing")["resnet18"],
)
BOOKS = {book.stem: book for book in (*map(stage_book, STAGES), APPENDIX)}
YOURS = Page("your_network")  # which shows a report and no run
PAGES = {**BOOKS, YOURS.stem: YOURS}
FIRST = next(iter(BOOKS.values()))
every_notebook = pytest.mark.parametrize("stem", BOOKS)
every_page = pytest.mark.parametrize("stem", PAGES)


def cell_with(cells: list[NotebookNode], text: str) -> NotebookNode:
    (found,) = [cell for cell in cells if text in cell.source]
    return found


def compared(cell: NotebookNode) -> bool:
    """Whether nbval compares the cell's output."""
    return "nbval-ignore-output" not in cell.metadata.get("tags", [])


def parsed(cell: NotebookNode) -> ast.Module:
    """The syntax tree of a cell, its magics as calls."""
    return ast.parse(TransformerManager().transform_cell(cell.source))


def calls(cell: NotebookNode, function: str) -> list[ast.Call]:
    """The calls of a function in a cell."""
    nodes = ast.walk(parsed(cell))
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function]
