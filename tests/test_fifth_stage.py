"""The three steps of docs/adding_a_stage.md, followed in a copy of the repository: everything knows the fifth stage."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import openpyxl
import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage.mnist import data_folder

pytestmark = pytest.mark.slow

NETWORK = '''

def stage5() -> nn.Sequential:
    """`stage2` with batch norm."""
    return stage2(partial(conv_block, norm=True))
'''
RECIPE = "\nSTAGE5 = Recipe(epochs=1, batch_size=256, learning_rate=0.2)\n"
RECORD = """        Stage(
            network=stage5,
            recipe=STAGE5,
            parameters=9_904,
            seeds=1,
            notebook="05_fifth",
            compared_with=("stage4",),
        ),
"""


class Copy:
    """A copy of the repository, its command and its tests."""

    def __init__(self, root):
        self.root = root
        names = (
            "mnist_drill",
            "notebooks",
            "leaderboard",
            "tests",
            "docs",
            "README.md",
            "pyproject.toml",
            "requirements.txt",
        )
        for name in names:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        self.environment = {
            **os.environ, "PYTHONPATH": str(root), "MNIST_DRILL_DATA": str(data_folder().resolve()),
        }  # fmt: skip

    def edit(self, name, old, new):
        path = self.root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name}: {old!r}"
        path.write_text(text.replace(old, new))

    def run(self, *command):
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)], cwd=self.root, env=self.environment, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def copy(mnist, tmp_path_factory):
    """The three steps, done."""
    copy = Copy(tmp_path_factory.mktemp("copy"))
    # On few images: what is asked for here is names, rows and seeds, and no accuracy.
    loaded = "    return train_set, test_set\n\n\ndef split"
    copy.edit("mnist_drill/data.py", loaded, loaded.replace("train_set, test_set", "train_set[:1000], test_set[:500]"))
    # 1. A network, a recipe, and a record.
    path = copy.root / "mnist_drill" / "networks.py"
    path.write_text(path.read_text() + NETWORK)
    path = copy.root / "mnist_drill" / "recipes.py"
    path.write_text(path.read_text() + RECIPE)
    copy.edit("mnist_drill/stages.py", "stage3, stage4\n", "stage3, stage4, stage5\n")
    copy.edit("mnist_drill/stages.py", "STAGE4, Recipe\n", "STAGE4, STAGE5, Recipe\n")
    copy.edit("mnist_drill/stages.py", "        Stage(network=sprint,", RECORD + "        Stage(network=sprint,")
    copy.edit("tests/test_receptive_field.py", '"stage4": STAGE2}', '"stage4": STAGE2, "stage5": STAGE2}')
    listed = (copy.root / "tests/notebooks/test_reasons.py").read_text()
    reasons = re.search(r'    "04_augmentation_scheduler": \{.*?\n    \},\n', listed, re.DOTALL)[0]
    fifth = reasons.replace("04_augmentation_scheduler", "05_fifth")
    copy.edit("tests/notebooks/test_reasons.py", reasons, reasons + fifth)
    # 2. Its evidence.
    copy.run("mnist_drill", "evidence", "stage5", "--device", "cpu")
    # 3. A notebook, from the previous one, executed; then what is rendered.
    content = nbformat.read(copy.root / "notebooks" / "04_augmentation_scheduler.ipynb", as_version=4)
    for cell in content.cells:
        cell.source = cell.source.replace("stage4", "stage5").replace('load_runs("stage3")', 'load_runs("stage4")')
    nbformat.write(content, copy.root / "notebooks" / "05_fifth.ipynb")
    copy.run("nbconvert", "--execute", "--to", "notebook", "--inplace", "notebooks/05_fifth.ipynb")
    copy.run("mnist_drill", "render")
    copy.run("mnist_drill", "workbook")
    return copy


def test_the_command_lists_and_trains_it(copy, tmp_path):
    assert re.search(r"^stage5 +9,904$", copy.run("mnist_drill", "models"), re.MULTILINE)
    copy.run("mnist_drill", "train", "stage5", "--device", "cpu", "--out", tmp_path)
    run = json.loads((tmp_path / "stage5.json").read_text())
    assert (run["name"], run["parameters"], run["recipe"]["batch_size"]) == ("stage5", 9_904, 256)


def test_its_evidence_is_stored(copy):
    runs = json.loads((copy.root / "mnist_drill" / "evidence" / "stage5.json").read_text())["runs"]
    assert [(run["name"], run["seed"], len(run["epochs"])) for run in runs] == [("stage5", 1, 1)]


def test_the_workbook_has_its_sheet(copy):
    assert "stage5" in openpyxl.load_workbook(copy.root / "RF_calculations.xlsx").sheetnames


def test_readme_and_docs_have_its_rows(copy):
    assert "](notebooks/05_fifth.ipynb)" in (copy.root / "README.md").read_text()
    evidence = (copy.root / "docs" / "evidence.md").read_text()
    assert re.search(r"^\| stage5 \| 1 ", evidence, re.MULTILINE)
    assert "](../notebooks/05_fifth.ipynb)" in evidence
    assert "stage5" in (copy.root / "docs" / "images" / "accuracy.svg").read_text()
    copy.run("mnist_drill", "badges", "owner/course")
    assert "notebooks/05_fifth.ipynb)" in (copy.root / "README.md").read_text().partition("<!-- badges -->")[2]


def test_the_benchmark_measures_it(copy, tmp_path):
    copy.run("mnist_drill", "bench", "--quick", "--only", "parts", "--device", "cpu", "--out", tmp_path / "bench.json")
    assert "stage5" in json.loads((tmp_path / "bench.json").read_text())["parts"]


def test_the_tests_know_it(copy):
    """Those of notebooks, stages, evidence and pages; each has at least one that is about it alone, and that passes."""
    options = ["-v", "-p", "no:cacheprovider", "-k"]
    passed = copy.run("pytest", *options, "(05_fifth or stage5) and not alone_from_an_empty_folder and not verdict "
                      "and not claims_hold", "tests/notebooks", "tests/test_stages.py", "tests/evidence",
                      "tests/test_same_weights.py", "tests/benchmark")  # fmt: skip
    for folder in ("tests/notebooks", "tests/test_stages.py", "tests/evidence", "tests/test_same_weights.py",
                   "tests/benchmark"):  # fmt: skip
        assert re.search(rf"^{folder}.*(05_fifth|stage5).* PASSED", passed, re.MULTILINE), folder
    # Those of the package need no edit, besides the layers that are written by hand.
    paths = (
        "test_networks.py",
        "test_models.py",
        "test_receptive_field.py",
        "test_imports.py",
        "course",
        "cli/test_main.py",
    )
    copy.run("pytest", *options, "not alternative", *(f"tests/{path}" for path in paths))
