"""The notebooks of exercises, each made from its solution, so that the two cannot part.

In a solution, a cell that a learner is to write has its starting point in its metadata, under `start`; a remark on the
solution has the tag `solution`. The first cell, the title, says "solutions" in place of "exercises".
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from mnist_drill.course.notebooks import ROOT, Notebook, exercise_notebooks
from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode

START, REMARK = "start", "solution"


def unsolved(solution: NotebookNode) -> NotebookNode:
    """The exercises of a solution, not executed. Raises `DrillError` where no code cell has a starting point."""
    content = copy.deepcopy(solution)
    content.cells = [cell for cell in content.cells if REMARK not in cell.metadata.get("tags", [])]
    if not any(START in cell.metadata for cell in content.cells if cell.cell_type == "code"):
        raise DrillError(f"no code cell has a starting point: give it one in its metadata, under {START!r}")
    content.cells[0].source = content.cells[0].source.replace("solutions", "exercises")
    for cell in content.cells:
        cell.source = cell.metadata.pop(START, cell.source)
    return not_executed(content)


def not_executed(content: NotebookNode) -> NotebookNode:
    """A notebook without what execution adds to it."""
    content = copy.deepcopy(content)
    for cell in content.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    content.metadata.pop("language_info", None)
    return content


def executed(content: NotebookNode, path: Path) -> NotebookNode:
    """The notebook, executed as if it lay at `path`. Raises `DrillError` where a cell fails."""
    content = not_executed(content)
    places = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(content, timeout=600, coalesce_streams=True, record_timing=False, resources=places)
    try:
        return client.execute()
    except CellExecutionError as error:
        raise DrillError(f"a cell of {path.parent.name}/{path.stem} fails: {error.ename}: {error.evalue}") from None


def make(root: Path = ROOT, solutions: bool = False) -> Iterator[Path]:
    """Writes the exercises, executed, for each solution, and yields their files; with `solutions` those as well.

    Raises `DrillError` where there is no solution, or a cell fails.
    """
    solved = exercise_notebooks(root, ("solutions",))
    if not solved:
        raise DrillError(f"{root / 'notebooks' / 'solutions'} has no notebooks: exercises are made in a clone")
    for book in solved:
        content = book.read()
        if solutions:
            content = executed(content, book.path)
            book.write(content)
            yield book.path
        exercises = Notebook(root / "notebooks" / "exercises" / book.path.name)
        exercises.path.parent.mkdir(exist_ok=True)
        exercises.write(executed(unsolved(content), exercises.path))
        yield exercises.path
