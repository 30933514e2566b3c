import re
import shutil

import pytest

from mnist_drill import pages
from mnist_drill.errors import DrillError

README = (pages.ROOT / "README.md").read_text()


def test_the_readme_shows_the_notebooks_runs_and_the_evidence():
    assert pages.render_readme(README, pages.notebooks()) == README


def test_the_notebooks_show_the_time_they_took():
    for book in pages.every_notebook():
        title = book.read().cells[0].source
        assert f"{book.minutes():.1f} minutes" in title
        assert pages.render_title(title, book) == title


def test_the_table_is_made_from_the_runs():
    rows = [line for line in pages.results_table(pages.notebooks()).splitlines() if line.startswith("| [")]
    for row, book in zip(rows, pages.notebooks(), strict=True):
        run = book.run()
        assert f"| {run.parameters:,} |" in row
        assert f"| {run.last.test_accuracy:.2f} | {run.lowest_of_last(5):.2f} |" in row


def test_the_paths_that_the_readme_names_are_there():
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (pages.ROOT / path).exists(), path


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(pages.ROOT / "notebooks", tmp_path / "notebooks")
    shutil.copy(pages.ROOT / "README.md", tmp_path)
    return tmp_path


def test_badges_point_to_the_repository_and_can_be_changed(copy):
    for repository in ("first/one", "second/two.x"):
        pages.put_badges(repository, copy)
        readme = (copy / "README.md").read_text()
        for book in pages.every_notebook(copy):
            address = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{book.path.name}"
            assert readme.count(f"({address})") == 1
            cells = book.read().cells
            assert cells[0].source.splitlines()[0].endswith(f"({address})")
            assert cells[0].source.count("Open in Colab") == 1
            assert f'REPOSITORY = "https://github.com/{repository}"' in cells[1].source
    assert "first/one" not in readme + "".join(book.path.read_text() for book in pages.every_notebook(copy))


def test_badges_change_nothing_else(copy):
    pages.put_badges("owner/repo", copy)
    for book, original in zip(pages.every_notebook(copy), pages.every_notebook(), strict=True):
        assert book.read().cells[2:] == original.read().cells[2:]
    pages.put_badges("owner/repo", copy)
    once = {book.path.name: book.path.read_text() for book in pages.every_notebook(copy)}
    pages.put_badges("owner/repo", copy)
    assert {book.path.name: book.path.read_text() for book in pages.every_notebook(copy)} == once


def test_a_readme_without_its_markers_is_an_error():
    with pytest.raises(DrillError, match="<!-- results -->"):
        pages.render_readme("no markers", pages.notebooks())


def test_a_benchmark_that_is_missing_or_damaged_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pages.evidence, "FOLDER", tmp_path)
    for content in (None, "{", "[]", '{"environment": {"hardware": "x", "threads": 2, "torch": "2"}}'):
        if content is not None:
            (tmp_path / "benchmark.json").write_text(content)
        with pytest.raises(DrillError, match=r"benchmark\.json.*bench --out"):
            pages.speed_tables()
