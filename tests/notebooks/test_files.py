"""The notebooks as files: executed, small, alike, and with the cells that nbval has to compare."""

import ast
import inspect
import re

from mnist_drill import train
from mnist_drill.course.notebooks import ROOT
from mnist_drill.course.notebooks import every_notebook as notebooks_in_order
from mnist_drill.stages import STAGES
from tests.notebooks.books import BOOKS, FIRST, PAGES, calls, cell_with, compared, every_notebook, every_page


def test_each_has_a_record_and_they_are_in_order():
    assert [book.path.stem for book in notebooks_in_order()] == list(BOOKS)
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == list(PAGES)


@every_page
def test_executed_from_top_to_bottom(stem):
    code = PAGES[stem].code
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]


@every_page
def test_small_and_free_of_machine_paths_and_widgets(stem):
    text = PAGES[stem].notebook.path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert not re.search(r"/home/|/Users/|/root/|/tmp/|/work/|/usr/|site-packages|[A-Z]:\\\\", text)
    assert "widget" not in text


@every_page
def test_a_picture_has_no_page_beside_it(stem):
    # `render` removes the HTML of what `inside` shows.
    outputs = [output.get("data", {}) for cell in PAGES[stem].code for output in cell.outputs]
    assert not [data for data in outputs if "image/png" in data and "text/html" in data]
    assert "iframe" not in PAGES[stem].notebook.path.read_text(encoding="utf-8")


@every_notebook
def test_same_headings_and_setup(stem):
    headings = [
        re.match(r"#+ [^:]*", line).group()
        for cell in BOOKS[stem].cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#{2,3} ", line)
    ]
    assert headings == [
        "## Imports, seed, data",
        "## Idea",
        "## Network",
        "## What do you expect?",
        "## Training",
        "## Pictures",
        "## Limits",
        "## Target · Result · Analysis",
        "### Target",
        "### Result",
        "### Analysis",
    ]
    assert BOOKS[stem].code[0].source == FIRST.code[0].source


@every_notebook
def test_code_needs_no_sideways_scrolling(stem):
    # The setup cell, folded away, has the address of the course in it, once `badges` filled it in.
    code = BOOKS[stem].code[1:]
    printed = [
        output.text for cell in code if "getsource" in cell.source for output in cell.outputs if "text" in output
    ]
    shown = [*(cell.source for cell in code), *printed]
    assert not [line for text in shown for line in text.splitlines() if len(line) > 88]


@every_notebook
def test_it_ends_in_its_block(stem):
    (*_, last) = BOOKS[stem].cells
    assert last.source.startswith("judge(PREDICTIONS")


@every_page
def test_the_setup_is_short_and_folded_away_in_jupyter_in_colab_and_on_pages(stem):
    setup = PAGES[stem].code[0]
    assert len(setup.source.splitlines()) <= 6
    assert setup.metadata["jupyter"]["source_hidden"]
    assert setup.metadata["cellView"] == "form"
    assert "hide-input" in setup.metadata["tags"]


def test_the_loop_that_notebook_1_shows_is_the_packages():
    """But for annotations and docstring: a change of one is a change of the other."""

    def loop(source):
        function = ast.parse(source).body[0]
        arguments = [(x.arg, None) for x in function.args.args], list(map(ast.unparse, function.args.defaults))
        return function.name, arguments, [ast.unparse(line) for line in function.body[1:]]

    cell = cell_with(FIRST.code, "def train_epoch(")
    assert loop(cell.source) == loop(inspect.getsource(train.train_epoch))
    assert len(cell.source.splitlines()) <= 20
    assert "loop=train_epoch" in cell_with(FIRST.code, "run = fit(").source


@every_notebook
def test_what_is_exact_is_compared(stem):
    texts = ["targets(TARGET)", "predictions(PREDICTIONS)", "judge(TARGET, run, ", "judge(ANALYSIS, ",
             "judge(PREDICTIONS", "summary(model)"]  # fmt: skip
    if BOOKS[stem].network in STAGES:  # receptive fields are traced through a sequence of layers
        texts.append("layer_table(model)")
    for text in texts:
        cell = cell_with(BOOKS[stem].code, text.strip())
        assert compared(cell), text
        assert cell.outputs, text
    ignored = [cell for cell in BOOKS[stem].code if not compared(cell)]
    measured = r"plots\.|fit\(|train_epoch\(|Result|margins\(|accuracy|inside\(|REPOSITORY"
    assert all(re.search(measured, cell.source) for cell in ignored)


@every_page
def test_what_is_compared_shows_no_picture(stem):
    # nbval leaves pictures out, so a compared cell that only draws would pass whatever it draws.
    outputs = [output for cell in PAGES[stem].code if compared(cell) for output in cell.outputs]
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
