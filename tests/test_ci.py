"""What CI checks beyond nbval: that every cell ran and that each one that should be compared was."""

import re
import subprocess
import sys

import nbformat
import pytest

from mnist_drill.course.notebooks import ROOT

SWALLOWS_THE_INTERRUPT = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass"


def cell(source, count, text=None, tags=()):
    new = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    new.execution_count = count
    if text:
        new.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    return new


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([cell("print(1)", 1, "1\n"), cell("print(2)", 2, "2\n")], None),
        ([cell("print(1)", 1, "1\n"), cell("print(2)", None)], "cell 1: should be compared"),
        ([cell("print(1)", 1, "1\n", ["nbval-skip"])], "cell 0: skipped"),
        ([cell("# NBVAL_IGNORE_OUTPUT\nprint(1)", 1, "2\n")], "cell 0: mark cells by tags"),
        ([cell(SWALLOWS_THE_INTERRUPT, 1), cell("print(2)", 2, "5\n")], "cell 0: ran out of time"),
    ],
    ids=["sound", "never executed", "skipped", "comment", "out of time"],
)
def test_what_nbval_lets_pass_is_found(cells, said, tmp_path):
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_book.ipynb")
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "3", "--junitxml", "report.xml"]
    options += ["-o", "junit_duration_report=call"]
    nbval = subprocess.run([sys.executable, "-m", "pytest", "-q", *options, "."], cwd=tmp_path, capture_output=True)
    assert nbval.returncode == 0, "nbval itself is green in each of these cases"
    command = [sys.executable, ROOT / ".ci" / "compared.py", "report.xml", "3", "01_book.ipynb"]
    check = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert check.returncode == (1 if said else 0), check.stdout + check.stderr
    if said:
        assert said in check.stdout


def test_the_readme_has_the_two_lines_that_ci_takes_from_it():
    lines = (ROOT / "README.md").read_text().splitlines()
    (command,) = [line for line in lines if re.search("^pip install .*pytest$", line)]
    assert command.endswith("&& ruff check . && ruff format --check . && pytest")
    (nbval,) = [line for line in lines if re.search("--nbval-cell-timeout [0-9]+", line)]
    assert nbval.startswith("pytest --nbval --nbval-current-env") and nbval.endswith(" notebooks")
