"""Executing notebooks as Colab does: a kernel with an empty folder, and this repository to install from."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient

from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage.mnist import data_folder

if TYPE_CHECKING:
    from pathlib import Path


KERNEL = "as-in-colab"


def with_address(source, address):
    """A setup cell with the address that `badges` fills in."""
    return re.sub(r'^REPOSITORY = ".*?"', f'REPOSITORY = "{address}"', source, flags=re.M)


def quick(book, address):
    """The notebook with that address, on 500 images for one epoch, with its exercise tried."""
    content = copy.deepcopy(book.notebook.read())
    (place,) = [i for i, cell in enumerate(content.cells) if "train_set, test_set = data.load()" in cell.source]
    smaller = "train_set, test_set, RECIPE = train_set[:500], test_set[:500], RECIPE.with_epochs(1)"
    content.cells.insert(place + 1, nbformat.v4.new_code_cell(smaller))
    for cell in content.cells:
        cell.source = with_address(cell.source, address)
    return content


def execute(content, folder, colab):
    client = NotebookClient(
        content, timeout=300, coalesce_streams=True, resources={"metadata": {"path": str(folder)}},
        kernel_name=KERNEL,
    )  # fmt: skip
    client.execute(env=colab.environment)
    return content


@dataclass(frozen=True)
class Colab:
    """A virtual environment without the package, and an address to install this repository from."""

    python: Path
    environment: dict[str, str]
    address: str

    @property
    def packages(self) -> Path:
        """Where pip installs to."""
        (folder,) = self.python.parents[1].glob("lib/python*/site-packages")
        return folder


def as_in_colab(root):
    """A virtual environment that sees the packages of this one, but not this repository; a stand-in `google.colab`."""
    (root / "stand-in" / "google" / "colab").mkdir(parents=True)
    (root / "stand-in" / "google" / "colab" / "__init__.py").touch()
    origin = root / "origin"
    shutil.copytree(ROOT, origin, ignore=shutil.ignore_patterns("data", ".venv*", ".git", "build", "runs"))
    git = ["git", "-C", str(origin), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "a copy"], check=True)

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    environment = {
        **os.environ,
        "VIRTUAL_ENV": str(root / "venv"),  # IPython would add the packages of another
        "PYTHONPATH": str(root / "stand-in"),
        "JUPYTER_PATH": str(root / "jupyter"),
        "MNIST_DRILL_DATA": str(data_folder().resolve()),
    }
    colab = Colab(root / "venv" / "bin" / "python", environment, origin.as_uri())
    # Packages of a folder that a .pth file names are seen, but not those that its own .pth files name, as this one.
    here = [path for path in sys.path if path.endswith("-packages")]
    (colab.packages / "here.pth").write_text("\n".join(here) + "\n")
    kernel = {"argv": [str(colab.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
              "display_name": KERNEL, "language": "python"}  # fmt: skip
    spec = root / "jupyter" / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps(kernel))
    return colab
