"""The blocks that the notebooks end in, as they are stored: target, result and analysis, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from mnist_drill.course.notebooks import Notebook

HEADING = "## Target · Result · Analysis"


def block(book: Notebook) -> str:
    """What stands between the heading of a notebook's block and the next one of its level: text and shown Markdown.

    Code is left out. Raises `DrillError` for a notebook that has no block, or one in which nothing was executed.
    """
    parts, inside, shown = [], False, 0
    for cell in book.read().cells:
        if cell.cell_type == "markdown":
            kept = []
            for line in cell.source.splitlines():
                if line.startswith("## "):
                    inside = line.strip() == HEADING
                elif inside:
                    kept.append(line)
            parts.append("\n".join(kept))
        elif inside:
            outputs = shown_by(cell)
            shown += len(outputs)
            parts += outputs
    if not shown:
        raise DrillError(f"{book.path} shows nothing under {HEADING!r}: execute a notebook that has such a block")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def shown_by(cell: NotebookNode) -> list[str]:
    """The Markdown among the stored outputs of a code cell."""
    texts = [str(output.get("data", {}).get("text/markdown", "")) for output in cell.get("outputs", [])]
    return list(filter(None, texts))
