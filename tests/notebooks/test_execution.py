"""The notebooks executed as in Colab on 500 images, and under nbval with a false sentence in one of them."""

import copy
import subprocess
import sys

import nbformat
import pytest

from mnist_drill.course.notebooks import run_in
from tests.notebooks.books import BOOKS, cell_with, every_notebook
from tests.notebooks.running import KERNEL, execute, quick


@pytest.fixture(scope="module")
def executed(colab, tmp_path_factory):
    """Each notebook executed once from an empty folder as in Colab, on 500 images for one epoch."""
    done = {}

    def get(stem):
        if stem not in done:
            folder = tmp_path_factory.mktemp(stem)
            done[stem] = execute(quick(BOOKS[stem], colab.address), folder, colab)
            assert (colab.packages / "mnist_drill").is_dir()
        return done[stem]

    return get


@every_notebook
def test_runs_alone_from_an_empty_folder_as_in_colab(executed, stem):
    cells = [cell for cell in executed(stem).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    run = run_in(executed(stem))
    assert (run.name, len(run.epochs)) == (BOOKS[stem].network, 1)


def test_a_weakened_recipe_misses_the_target_and_raises_nothing(executed):
    cells = [cell for cell in executed("04_augmentation_scheduler").cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in cells if cell.source.startswith("judge(TARGET, run, ")]
    verdicts = cell.outputs[0].data["text/plain"].splitlines()
    assert [verdict[0] for verdict in verdicts] == ["✗", "✓", "✓"]


def nbval(content, folder, environment):
    path = folder / "notebook.ipynb"
    nbformat.write(content, path)
    options = [
        "--nbval",
        "--nbval-kernel-name",
        KERNEL,
        "-vv",
        "--color=no",
        "-p",
        "no:cacheprovider",
    ]  # -vv: the whole diff
    command = [sys.executable, "-m", "pytest", *options, path]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_nbval_finds_a_false_sentence_and_no_other_difference(executed, colab, tmp_path):
    content = copy.deepcopy(executed("02_parameter_reduction"))
    claims, analysis = (cell_with(content.cells, text) for text in ("ANALYSIS = [", "judge(ANALYSIS, "))
    false = 'claim("It has more than {n:,} parameters", lambda run, before, n: run.parameters > n, n=50_000),'
    claims.source = claims.source.replace("ANALYSIS = [", f"ANALYSIS = [\n    {false}")
    for output in analysis.outputs:  # as if somebody had written the sentence without running it
        for kind, text in output.data.items():
            start = "- " if kind == "text/markdown" else ""
            output.data[kind] = f"{start}✓ It has more than 50,000 parameters\n{text}"
    compared = nbval(content, tmp_path, colab.environment)
    assert compared.returncode == 1
    assert "✗ It has more than 50,000 parameters" in compared.stdout
    assert "1 failed" in compared.stdout
