"""The notebooks of exercises are made from their solutions, in a clone."""

import shutil

import nbformat
import pytest

from mnist_drill.course import exercises
from mnist_drill.course.notebooks import ROOT, Notebook, exercise_notebooks, put_badges
from mnist_drill.errors import DrillError

BOOKS = {book.path.stem: book for book in exercise_notebooks(parts=("solutions",))}
every_solution = pytest.mark.parametrize("stem", BOOKS)


def exercises_of(stem, books=BOOKS):
    return Notebook(books[stem].path.parents[1] / "exercises" / f"{stem}.ipynb").read()


def cell(kind, source, **metadata):
    new = nbformat.v4.new_code_cell(source) if kind == "code" else nbformat.v4.new_markdown_cell(source)
    new.metadata.update(metadata)
    return new


def test_there_is_a_solution_for_each_exercise_and_each_stage():
    names = [[book.path.stem for book in exercise_notebooks(parts=(part,))]
             for part in ("exercises", "solutions")]  # fmt: skip
    assert names[0] == names[1]
    assert len(names[0]) == 4


@every_solution
def test_the_exercises_are_what_is_made_from_the_solution(stem):
    committed = exercises.not_executed(exercises_of(stem))
    made = exercises.unsolved(BOOKS[stem].read())
    assert committed == made


def test_starting_points_take_the_place_of_solutions_and_remarks_are_left_out():
    solution = nbformat.v4.new_notebook(
        cells=[
            cell("markdown", "# Some solutions"),
            cell("code", "x = 1", start="x = ...", tags=["a"]),
            cell("markdown", "**Why.** So.", tags=["solution"]),
            cell("code", "check.x(x)"),
        ]
    )
    solution.cells[3].outputs = [nbformat.v4.new_output("stream", text="✓")]
    made = exercises.unsolved(solution)
    assert [each.source for each in made.cells] == ["# Some exercises", "x = ...", "check.x(x)"]
    assert made.cells[1].metadata == {"tags": ["a"]}
    assert made.cells[2].outputs == []
    assert solution.cells[1].source == "x = 1"


def test_a_solution_without_a_starting_point_is_an_error():
    with pytest.raises(DrillError, match="'start'"):
        exercises.unsolved(nbformat.v4.new_notebook(cells=[cell("code", "x = 1")]))


def test_a_folder_without_solutions_is_an_error(tmp_path):
    with pytest.raises(DrillError, match="solutions has no notebooks"):
        list(exercises.make(tmp_path))


def small(root, last):
    for folder in ("solutions", "exercises"):
        (root / "notebooks" / folder).mkdir(parents=True)
    path = root / "notebooks" / "solutions" / "01_small.ipynb"
    cells = [cell("markdown", "# Solutions"), cell("code", "x = 1", start="x = 0"), cell("code", last)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return Notebook(path)


@pytest.mark.slow
def test_make_executes_the_exercises_and_if_asked_the_solutions(tmp_path):
    solution = small(tmp_path, "print(x)")
    (path,) = exercises.make(tmp_path)
    assert path == tmp_path / "notebooks" / "exercises" / "01_small.ipynb"
    assert Notebook(path).read().cells[2].outputs[0].text == "0\n"
    assert solution.read().cells[2].outputs == []
    list(exercises.make(tmp_path, solutions=True))
    assert solution.read().cells[2].outputs[0].text == "1\n"
    assert exercises.not_executed(Notebook(path).read()) == exercises.unsolved(solution.read())


def test_a_cell_that_fails_is_one_line_and_nothing_is_written(tmp_path):
    small(tmp_path, "1 / x")
    with pytest.raises(DrillError, match="exercises/01_small fails: ZeroDivisionError: division by zero"):
        list(exercises.make(tmp_path))
    assert not list((tmp_path / "notebooks" / "exercises").iterdir())


def test_badges_of_exercises_lead_to_their_folder_and_solutions_still_make_them(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    shutil.copy(ROOT / "README.md", tmp_path)
    put_badges("owner/repo", tmp_path)
    for book in exercise_notebooks(tmp_path):
        place = f"/owner/repo/blob/main/notebooks/{book.path.parent.name}/{book.path.name})"
        assert place in book.read().cells[0].source
        assert any('REPOSITORY = "https://github.com/owner/repo"' in each.source for each in book.read().cells)
        if book.path.parent.name == "solutions":
            made = exercises.unsolved(book.read())
            committed = Notebook(tmp_path / "notebooks" / "exercises" / book.path.name).read()
            assert exercises.not_executed(committed) == made
    assert (
        "exercises/01_setup"
        not in (tmp_path / "README.md").read_text().partition("<!-- badges -->")[2].partition("<!-- /badges -->")[0]
    )
