"""The notebooks as files: executed, small, alike, and with the cells that nbval has to compare."""

import re

from mnist_drill.course.notebooks import ROOT
from mnist_drill.course.notebooks import every_notebook as notebooks_in_order
from mnist_drill.stages import STAGES
from tests.notebooks.books import BOOKS, FIRST, calls, cell_with, compared, every_notebook


def test_each_has_a_record_and_they_are_in_order():
    assert [book.path.stem for book in notebooks_in_order()] == list(BOOKS)
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == list(BOOKS)


@every_notebook
def test_executed_from_top_to_bottom(stem):
    code = BOOKS[stem].code
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]


@every_notebook
def test_small_and_free_of_machine_paths_and_widgets(stem):
    text = BOOKS[stem].notebook.path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert not re.search(r"/home/|/Users/|/root/|/tmp/|/work/|/usr/|site-packages|[A-Z]:\\\\", text)
    assert "widget" not in text


@every_notebook
def test_same_headings_and_bootstrap(stem):
    headings = [
        re.match(r"#+ [^:]*", line).group()
        for cell in BOOKS[stem].cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#{2,3} ", line)
    ]
    assert headings == [
        "## Imports, seed, data",
        "## Target",
        "## Idea",
        "## Network",
        "## What do you expect?",
        "## Training",
        "## Pictures",
        "## Target, result, analysis",
        "### Target",
        "### Result",
        "### Analysis",
        "## What this does not show, and what comes next",
        "## Exercises",
    ]
    assert BOOKS[stem].code[0].source == FIRST.code[0].source


@every_notebook
def test_what_is_exact_is_compared(stem):
    texts = ["targets(TARGET)", "judge(TARGET, run, ", "judge(ANALYSIS, ", "summary(model)"]
    if BOOKS[stem].network in STAGES:  # receptive fields are traced through a sequence of layers
        texts.append("layer_table(model)")
    for text in texts:
        cell = cell_with(BOOKS[stem].untried, text.strip())
        assert compared(cell), text
        assert cell.outputs, text
    ignored = [cell for cell in BOOKS[stem].code if not compared(cell)]
    assert all(re.search(r"plots\.|fit\(|Result|row\.|accuracy", cell.source) for cell in ignored)


@every_notebook
def test_what_is_compared_shows_no_picture(stem):
    # nbval leaves pictures out, so a compared cell that only draws would pass whatever it draws.
    outputs = [output for cell in BOOKS[stem].code if compared(cell) for output in cell.outputs]
    assert not any("image/png" in output.get("data", {}) for output in outputs)


@every_notebook
def test_no_figure_is_typed_into_a_sentence(stem):
    """A measured figure, or a threshold, stands in a claim's numbers and not in its words or in the Markdown."""
    figure = re.compile(r"\d[.,]\d|\d\s*%|\d+ (?:points|seconds|minutes|parameters)")
    sentences = [
        re.sub(r"\{.*?\}", "", call.args[0].value)  # what is in braces is a number of the check
        for cell in BOOKS[stem].code
        for call in calls(cell, "claim")
    ]
    assert len(sentences) >= 8
    assert [sentence for sentence in sentences if figure.search(sentence)] == []

    markdown = [cell.source for cell in BOOKS[stem].cells if cell.cell_type == "markdown"]
    prose = "\n".join(line for text in markdown for line in text.splitlines() if not line.startswith("**Time.**"))
    prose = re.sub(r"95 %\s+confidence\s+interval", "", prose)  # the interval's level is chosen, not measured
    typed = set(re.findall(r"\d[\d.,]*\d\s*%|\d+[.,]\d+|\d+ (?:points|seconds|minutes)", prose))
    # The target of the course and its budget; a learning rate to try in an exercise.
    assert typed <= {"99.4 %", "99.4", "10,000", "0.05", "0.1", "0.01"}
