"""The exercises and their solutions as files: executed, alike, with folded hints and verdicts that are compared."""

import re

import pytest

from mnist_drill.course.notebooks import exercise_notebooks
from mnist_drill.stages import STAGES
from tests.exercises.books import exercises
from tests.notebooks.books import FIRST, compared

BOOKS = {f"{book.path.parent.name}/{book.path.stem}": book for book in exercise_notebooks()}
every_book = pytest.mark.parametrize("name", BOOKS)


def code_of(name):
    return [cell for cell in BOOKS[name].read().cells if cell.cell_type == "code"]


def checks_of(name):
    return [cell for cell in code_of(name) if cell.source.startswith("check.")]


def test_there_are_exercises_and_solutions_for_each_stage():
    stems = [stage.notebook for stage in STAGES.values()]
    assert list(BOOKS) == [f"{folder}/{stem}" for folder in ("exercises", "solutions") for stem in stems]


@every_book
def test_at_least_four_exercises_each_with_a_folded_hint_before_its_check(name):
    cells = BOOKS[name].read().cells
    titles = [cell for cell in cells if re.match(r"## Exercise \d+: ", cell.source)]
    hints = [cell for cell in cells if cell.source.startswith("<details><summary>Hint</summary>\n\n")]
    assert len(titles) == len(hints) == len(checks_of(name)) >= 4
    assert all(cell.source.endswith("\n\n</details>") for cell in hints)
    assert [re.match(r"## Exercise (\d+)", cell.source)[1] for cell in titles] == [
        str(number) for number in range(1, len(titles) + 1)
    ]


@every_book
def test_a_check_is_one_call_and_one_line_which_is_compared(name):
    begins = "✓ " if name.startswith("solutions") else "not yet: "
    for cell in checks_of(name):
        assert re.fullmatch(r"check\.\w+\([\w, ]+\)", cell.source)
        (output,) = cell.outputs
        assert output.data["text/plain"].startswith(begins), cell.source
        assert compared(cell)


@every_book
def test_executed_from_top_to_bottom_without_error_or_warning(name):
    code = code_of(name)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [x for cell in code for x in cell.outputs if x.output_type == "error" or x.get("name") == "stderr"]
    text = BOOKS[name].path.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/Users/|/root/|/tmp/|/work/|/usr/|site-packages", text)


@every_book
def test_the_setup_is_that_of_the_course_one_folder_below(name):
    setup, first = code_of(name)[0], FIRST.code[0]
    assert setup.source == first.source.replace('"..")', '"../..")')
    assert {key: setup.metadata[key] for key in ("jupyter", "cellView", "tags")} == {
        key: first.metadata[key] for key in ("jupyter", "cellView", "tags")
    }


@every_book
def test_code_fits_into_88_columns(name):
    assert [line for cell in code_of(name) for line in cell.source.splitlines() if len(line) > 88] == []


# What a notebook introduces, and no exercise of an earlier one may use, in code or text.
INTRODUCED = {
    "03": ("batch norm", "BatchNorm", "dropout", "Dropout", r"eval\(\)"),
    "04": ("augment", "schedul", "warmup", "EMA", "annealed"),
}


@every_book
def test_nothing_is_used_before_the_notebook_that_teaches_it(name):
    number = name.partition("/")[2][:2]
    text = "\n".join(cell.source for cell in BOOKS[name].read().cells)
    later = [word for notebook, words in INTRODUCED.items() if notebook > number for word in words]
    assert [word for word in later if re.search(word, text)] == []


def test_every_public_check_has_an_exercise():
    modules = {exercise.module for exercise in exercises().values()}
    checks = {
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "__wrapped__") and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert checks == {f"{x.module.__name__}.{x.name}" for x in exercises().values()}
    assert len(modules) == 4
