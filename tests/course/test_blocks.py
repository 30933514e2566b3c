import nbformat
import pytest

from mnist_drill.course.blocks import HEADING, block
from mnist_drill.course.claims import Verdicts
from mnist_drill.course.notebooks import Notebook, every_notebook
from mnist_drill.errors import DrillError


def stored(path, *cells):
    """A notebook with these cells: Markdown as text, code with the Markdown that it showed as a pair."""
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
            continue
        source, shown = cell
        output = nbformat.v4.new_output("execute_result", {"text/markdown": shown}, execution_count=1)
        made.append(nbformat.v4.new_code_cell(source, outputs=[output]))
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return Notebook(path)


def test_a_block_is_what_is_shown_from_its_heading_to_the_next(tmp_path):
    verdicts = Verdicts(["✓ It holds"])._repr_markdown_()
    book = stored(
        tmp_path / "a.ipynb", "# A", ("judge(before)", "before"), f"text\n\n{HEADING}\n\n### Target",
        ("judge(TARGET)", verdicts), "### Analysis\n\nWhy.\n\n## Exercises\n\nTry.", ("judge(after)", "after"),
    )  # fmt: skip
    assert block(book) == "### Target\n\n- ✓ It holds\n\n### Analysis\n\nWhy."


def test_every_notebook_of_the_course_has_a_block_with_all_three_parts():
    for book in every_notebook():
        text = block(book)
        places = [text.index(f"### {part}") for part in ("Target", "Result", "Analysis")]
        assert places == sorted(places)
        assert text.count("\n- ✓") + text.count("\n- ✗") >= 3
        assert "judge(" not in text


@pytest.mark.parametrize("cells", [["# A", ("1", "shown")], [f"{HEADING}\n\n### Target"]], ids=["none", "not executed"])
def test_a_notebook_that_shows_no_block_is_named(cells, tmp_path):
    with pytest.raises(DrillError, match=r"a\.ipynb"):
        block(stored(tmp_path / "a.ipynb", *cells))


@pytest.mark.parametrize(
    "text",
    [
        "[]", "null", "3", "{", "[" * 100_000,
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 5}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "metadata": {}}]}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"source": "x", "metadata": {}}]}',
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_one_line(tmp_path, text, capsys):
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(DrillError, match=r"a\.ipynb is not a notebook") as error:
        Notebook(tmp_path / "a.ipynb").read()
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")
