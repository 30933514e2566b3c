"""What is rendered into README, docs and notebooks is what the runs and the evidence say; the badges."""

import json
import math
import re
import shutil
import statistics

import matplotlib.pyplot as plt
import pytest

from mnist_drill.course import markers, overview, pages, photographs
from mnist_drill.course.notebooks import ROOT, every_notebook, notebooks, opened_in_colab, put_badges, render_title
from mnist_drill.course.tables import counted
from mnist_drill.errors import DrillError
from mnist_drill.evidence import stored
from mnist_drill.evidence.stored import load_runs, load_study
from mnist_drill.stages import NETWORKS, STAGES
from mnist_drill.zoo import comparison


@pytest.mark.parametrize("page", pages.TABLES)
def test_a_page_shows_what_is_rendered(page):
    assert pages.render_page(page) == (ROOT / page).read_text()


def test_the_figure_is_of_todays_evidence():
    stages = {name: load_runs(name) for name in STAGES}
    assert overview.digest(stages) in (ROOT / pages.OVERVIEW).read_text()
    changed = {**stages, "stage4": stages["stage4"][1:]}
    assert overview.digest(changed) not in pages.render_overview()


def test_the_notebooks_show_the_time_they_took():
    for book in every_notebook():
        title = book.read().cells[0].source
        assert f"{book.minutes():.1f} minutes" in title
        assert render_title(title, book) == title


def rows_of(table):
    return [line for line in table.splitlines() if line.startswith("| [")]


def test_the_readmes_table_is_rendered_from_the_runs_and_the_evidence():
    rows = rows_of(pages.results_table(ROOT))
    for row, book, (name, stage) in zip(rows, notebooks(), STAGES.items(), strict=True):
        run, seeds = book.run(), load_runs(name)
        lowest = min(epoch.test_accuracy for seed in seeds for epoch in seed.epochs[-5:])
        assert row.startswith(f"| [{book.title()}](notebooks/{book.path.name}) | {run.parameters:,} |")
        lowest = f"{lowest:.2f}" if stage.recipe.epochs >= 5 else "–"
        assert f"| {run.last.test_accuracy:.2f} | {lowest} | {counted(seeds)} |" in row
        assert row.endswith(f"| {stage.published.best_test:.2f} |" if stage.published else "| – |")


def test_the_notebooks_table_is_rendered_from_the_runs():
    for row, book in zip(rows_of(pages.notebooks_table(ROOT)), notebooks(), strict=True):
        run = book.run()
        lowest = run.lowest_of_last(5)
        assert f"| {run.parameters:,} |" in row
        assert f"| {run.last.test_accuracy:.2f} | {'–' if math.isnan(lowest) else f'{lowest:.2f}'} |" in row


def cells_of(text, first):
    """The cells by their header, of the row of the first table with such a row that begins with that cell."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    place = next(place for place, cells in enumerate(lines) if cells[0] == first)
    header = max(place for place, cells in enumerate(lines[:place]) if cells[0] == "---") - 1
    return dict(zip(lines[header], lines[place], strict=True))


def test_rows_about_runs_name_the_precision_of_their_runs():
    def made_in(runs):
        (found,) = {run.environment["precision"] for run in runs}
        return found

    seeds, ablations = pages.seeds_table(ROOT), pages.ablation_tables(ROOT)
    for name in NETWORKS:
        assert cells_of(seeds, name)["precision"] == made_in(load_runs(name))
    for name, runs in load_study("float32").items():
        assert cells_of(seeds, f"{name}, without mixed precision")["precision"] == made_in(runs) == "float32"
    for name in ("schedules", "faster_epoch"):
        for row, runs in load_study(name).items():
            assert cells_of(ablations, row)["precision"] == made_in(runs)
    readme, own, margins = pages.results_table(ROOT), pages.notebooks_table(ROOT), pages.margins_tables(ROOT)
    for book, (name, stage) in zip(notebooks(), STAGES.items(), strict=True):
        precisions = made_in([book.run()]), made_in(load_runs(name))
        row = cells_of(readme, f"[{book.title()}](notebooks/{book.path.name})")
        assert row["precision: run, seeds"] == ", ".join(precisions)
        assert cells_of(own, f"[{stage.notebook}](../notebooks/{book.path.name})")["precision"] == precisions[0]
        _, _, said = margins.partition(f"](../notebooks/{book.path.name})")
        (said,) = re.findall("^This run: .*", said.partition("\n## ")[0], re.M)
        assert re.findall("float32|bfloat16", said) == list(precisions)
    compared = comparison.stored()
    networks = pages.comparison_table(ROOT)
    for run in compared.runs:
        assert cells_of(networks, run.name)["precision of training"] == made_in([run])


def test_published_figures_are_said_not_to_be_verified_where_they_stand():
    tables = [pages.results_table, pages.notebooks_table, pages.seeds_table, pages.comparison_table]
    for table in tables:
        header = table(ROOT).splitlines()[0]
        assert header.count("published") == header.count("not verified") >= 1


def test_every_table_says_the_machine():
    """Hardware, threads, and the version of torch."""
    for page, tables in pages.TABLES.items():
        for table in tables.values():
            if page == "docs/blocks.md":  # what notebooks end in; their first cells say the machine
                continue
            text = table(ROOT)
            assert text.count(" thread") >= 1
            assert ", torch " in text


def test_a_band_goes_from_the_lowest_to_the_highest_seed():
    runs = {name: load_runs(name) for name in ("stage3", "stage4")}
    figure = overview.overview_figure(runs)
    (axis,) = figure.axes
    plt.close(figure)
    assert len(axis.collections) == len(runs)
    for band, line, of_stage in zip(axis.collections, axis.lines, runs.values(), strict=False):
        last = [run.last.test_accuracy for run in of_stage]
        epochs = len(of_stage[0].epochs)
        at_the_end = [y for x, y in band.get_paths()[0].vertices if x == epochs]
        assert (min(at_the_end), max(at_the_end)) == pytest.approx((min(last), max(last)))
        assert line.get_ydata()[-1] == pytest.approx(statistics.median(last))
    assert len(overview.overview(runs).encode()) < 100_000


def test_the_alternative_text_of_the_figure_holds():
    text = " ".join((ROOT / "README.md").read_text().split())
    assert "Only stage 4 ends above the dashed line at 99.4 %, with all of its seeds." in text
    above = {name: [run.last.test_accuracy >= overview.GOAL for run in load_runs(name)] for name in STAGES}
    assert all(above["stage4"])
    assert not any(any(above[name]) for name in STAGES if name != "stage4")


@pytest.fixture
def copy(tmp_path):
    for name in ("notebooks", "docs", "leaderboard"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_render_writes_again_what_was_changed(copy):
    marker = "<!-- seeds -->\n"
    page = copy / "docs" / "evidence.md"
    page.write_text(page.read_text().replace(marker, f"{marker}99.99\n"))
    (copy / pages.OVERVIEW).unlink()
    pages.render(copy)
    for path in pages.TABLES:
        assert (copy / path).read_text() == (ROOT / path).read_text(), path
    # Another version of matplotlib draws the same figure by another text.
    assert overview.digest({name: load_runs(name) for name in STAGES}) in (copy / pages.OVERVIEW).read_text()


def test_badges_point_to_the_repository_and_can_be_changed(copy):
    for repository in ("first/one", "second/two.x"):
        put_badges(repository, copy)
        readme = (copy / "README.md").read_text()
        for book in opened_in_colab(copy):
            address = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{book.path.name}"
            assert readme.count(f"({address})") == 1
            cells = book.read().cells
            assert cells[0].source.splitlines()[0].endswith(f"({address})")
            assert cells[0].source.count("Open in Colab") == 1
            first = next(cell for cell in cells if cell.cell_type == "code")
            assert f'REPOSITORY = "https://github.com/{repository}"' in first.source
    assert "first/one" not in readme + "".join(book.path.read_text() for book in opened_in_colab(copy))


def test_badges_change_nothing_else(copy):
    put_badges("owner/repo", copy)
    for book, original in zip(opened_in_colab(copy), opened_in_colab(), strict=True):
        cells, before = book.read().cells, original.read().cells
        first = next(place for place, cell in enumerate(cells) if cell.cell_type == "code")
        changed = [place for place, pair in enumerate(zip(cells, before, strict=True)) if pair[0] != pair[1]]
        assert changed == [0, first]
    put_badges("owner/repo", copy)
    once = {book.path.name: book.path.read_text() for book in opened_in_colab(copy)}
    put_badges("owner/repo", copy)
    assert {book.path.name: book.path.read_text() for book in opened_in_colab(copy)} == once


@pytest.mark.parametrize("text", ["no markers", "<!-- results -->\n", "<!-- results -->\n<!-- /results -->\n" * 2])
def test_a_page_without_its_markers_is_an_error(text):
    with pytest.raises(DrillError, match=r"README\.md needs the lines <!-- results -->"):
        markers.between(text, "results", "a table", "README.md")


def test_a_page_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(DrillError, match=r"README\.md: No such file"):
        pages.render_page("README.md", tmp_path)


def test_a_benchmark_that_is_missing_or_damaged_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    environment = '{"hardware": "x", "threads": 2, "torch": "2"}'
    for content in (None, "{", "[]", f'{{"format": 2, "environment": {environment}}}'):
        if content is not None:
            (tmp_path / "benchmark.json").write_text(content)
        with pytest.raises(DrillError, match=r"benchmark\.json.*bench --out"):
            pages.speed_tables(ROOT)


NEEDED = {
    ("throughput", pages.throughput_table): ["networks", "runs", "epochs", "environment", "environment.hardware"],
    ("photographs", pages.photographs_table): ["network", "accuracy", "kinds", "environment.threads"],
    ("benchmark", pages.speed_tables): ["environment.torch", "inference"],
    ("benchmark_float32", pages.speed_without_bfloat16): ["environment.torch", "published", "peak megabytes"],
    ("comparison", pages.comparison_table): ["environment.torch"],
}


@pytest.mark.parametrize(("name", "table", "lacking"), [(*page, key) for page, keys in NEEDED.items() for key in keys])
def test_a_stored_file_that_lacks_what_a_page_says_is_one_error_that_names_both(
    tmp_path, monkeypatch, name, table, lacking
):
    content = json.loads((stored.FOLDER / f"{name}.json").read_text())
    *outer, key = lacking.split(".")
    del (content[outer[0]] if outer else content)[key]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content))
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    monkeypatch.setattr(pages.comparison, "FOLDER", tmp_path)
    monkeypatch.setattr(photographs.load, "__defaults__", (path,))
    with pytest.raises(DrillError, match=rf"{name}\.json.*{key}") as caught:
        table(ROOT)
    assert "\n" not in str(caught.value)
