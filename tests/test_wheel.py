"""The package as a wheel: whole, and it trains where neither the repository nor an editable installation is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from mnist_drill import __version__
from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage.mnist import data_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is written into the repository."""
    root = tmp_path_factory.mktemp("wheel")
    leave_out = shutil.ignore_patterns("data", ".git", ".venv*", "build", "runs", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, root / "copy", ignore=leave_out)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", root, root / "copy"]
    subprocess.run(pip, check=True)
    (built,) = root.glob("mnist_drill-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """A folder that the wheel is installed in, and the environment to use it."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(pip, check=True)
    return site, {**os.environ, "PYTHONPATH": str(site), "MNIST_DRILL_DATA": str(data_folder().resolve())}


def test_it_has_every_module_and_all_data(wheel):
    package = ROOT / "mnist_drill"
    wanted = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.suffix in (".py", ".json", ".toml", ".js", ".css", ".html", ".bin") and path.is_file()
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("mnist_drill/")}
    assert held == wanted
    assert f"-{__version__}-" in wheel.name


def test_installed_elsewhere_it_trains_an_epoch(elsewhere, mnist, tmp_path):
    site, environment = elsewhere
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    where = subprocess.run([sys.executable, "-c", "import mnist_drill; print(mnist_drill.__file__)"], **run)
    assert where.stdout.startswith(str(site))
    command = [sys.executable, site / "bin" / "mnist-drill"]
    assert __version__ in subprocess.run([*command, "--version"], **run).stdout
    trained = subprocess.run([*command, "train", "sprint", "--epochs", "1", "--device", "cpu"], **run)
    assert trained.returncode == 0, trained.stderr
    (epoch,) = json.loads((tmp_path / "runs" / "sprint.json").read_text())["epochs"]
    assert epoch["test_accuracy"] > 90
    # The evidence is part of the package.
    stored = "from mnist_drill.evidence.stored import load_runs; print(len(load_runs('stage4')))"
    assert int(subprocess.run([sys.executable, "-c", stored], **run).stdout) >= 10
