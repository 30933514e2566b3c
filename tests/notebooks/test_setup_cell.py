"""The setup cell, first in every notebook: it finds the package, installs it in Colab, or says what to fill in."""

import os
import subprocess
import sys
from pathlib import Path

from mnist_drill.course.notebooks import ROOT
from tests.notebooks.books import FIRST
from tests.notebooks.running import as_in_colab, with_address

WHERE = "import mnist_drill, torch\nprint(mnist_drill.__file__, torch.__file__)"


def set_up(folder, environment, address="", python=sys.executable):
    """Executes the setup cell as a notebook does, and says where the packages were found."""
    code = f"{with_address(FIRST.code[0].source, address)}\n{WHERE}"
    command = [python, "-m", "IPython", "--quick", "--colors=NoColor", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_it_installs_the_package_from_its_address_and_leaves_torch_as_it_is(colab, tmp_path):
    run = set_up(tmp_path, colab.environment, colab.address, colab.python)
    package, torch = run.stdout.split()[-2:]
    assert Path(package).parents[1] == colab.packages, run.stderr
    assert colab.packages not in Path(torch).parents


def test_without_an_address_one_sentence_says_what_to_fill_in(tmp_path):
    fresh = as_in_colab(tmp_path)  # nothing was installed there
    (tmp_path / "empty").mkdir()
    run = set_up(tmp_path / "empty", fresh.environment, python=fresh.python)
    assert run.returncode != 0
    assert "Fill in REPOSITORY" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not list((tmp_path / "empty").iterdir())


def test_in_a_clone_it_uses_the_package_beside_the_notebooks(mnist):
    run = set_up(ROOT / "notebooks", dict(os.environ))
    assert Path(run.stdout.split()[-2]).resolve().parents[1] == ROOT, run.stderr
