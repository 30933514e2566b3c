"""Executing notebooks as Colab does: a kernel with an empty folder, and this repository to clone."""

import copy
import os
import shutil
import subprocess

import nbformat
from nbclient import NotebookClient

from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage.mnist import data_folder


def quick(book):
    """The notebook on 500 images for one epoch, with its exercise tried."""
    content = copy.deepcopy(book.notebook.read())
    (place,) = [i for i, cell in enumerate(content.cells) if "train_set, test_set = data.load()" in cell.source]
    smaller = "train_set, test_set, RECIPE = train_set[:500], test_set[:500], RECIPE.with_epochs(1)"
    content.cells.insert(place + 1, nbformat.v4.new_code_cell(smaller))
    for cell in content.cells:
        cell.source = cell.source.replace("TRY = False", "TRY = True")
    return content


def execute(content, folder, environment):
    client = NotebookClient(content, timeout=300, coalesce_streams=True, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return content


def as_in_colab(root):
    """The environment of a kernel in Colab: a stand-in `google.colab`, and this repository as a clone to bring."""
    (root / "stand-in" / "google" / "colab").mkdir(parents=True)
    (root / "stand-in" / "google" / "colab" / "__init__.py").touch()
    origin = root / "origin"
    shutil.copytree(ROOT, origin, ignore=shutil.ignore_patterns("data", ".venv*", ".git", "build", "runs"))
    git = ["git", "-C", str(origin), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "a copy"], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COLAB_", "KMP_"))}
    environment.update(
        PYTHONPATH=str(root / "stand-in"),
        MNIST_DRILL_REPOSITORY=origin.as_uri(),
        MNIST_DRILL_DATA=str(data_folder().resolve()),
    )
    return environment
