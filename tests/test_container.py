"""The Dockerfile's steps without an engine: what it copies is enough, and what it writes is in the mounted folder."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.runs import Run
from mnist_drill.storage import checkpoint
from mnist_drill.storage.mnist import data_folder

LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES if line and not line.startswith("#")]


def steps(instruction):
    return [rest for name, rest in STEPS if name == instruction]


@pytest.fixture
def container(mnist, tmp_path):
    """Runs the entry point on what the Dockerfile copies, with paths of the image below `tmp_path`."""
    folder = ""
    for name, rest in STEPS:
        if name == "WORKDIR":
            folder = rest
            (tmp_path / folder[1:]).mkdir(exist_ok=True)
        if name == "COPY":
            source, target = rest.split()
            copy = shutil.copytree if source.endswith("/") else shutil.copy
            copy(ROOT / source, tmp_path / folder[1:] / target)
    settings = dict(item.split("=", 1) for rest in steps("ENV") for item in rest.split())
    inside = {key: re.sub("^/", f"{tmp_path}/", value) for key, value in settings.items()}
    environment = {"PATH": os.environ["PATH"], **inside, "MNIST_DRILL_DATA": str(data_folder().resolve())}
    python, *entry = json.loads(steps("ENTRYPOINT")[-1])
    assert python == "python"

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *entry, *arguments], cwd=tmp_path / folder[1:], env=environment, capture_output=True,
            text=True,
        )  # fmt: skip

    return run


@pytest.mark.slow
def test_it_trains_and_writes_only_into_the_mounted_folder(container, tmp_path):
    (mounted,) = steps("VOLUME")

    def files():
        passing = {"__pycache__", "tmp"}
        return {path for path in tmp_path.rglob("*") if not passing & set(path.relative_to(tmp_path).parts)}

    before = files()
    trained = container("train", "sprint", "--epochs", "1", "--device", "cpu")
    assert trained.returncode == 0, trained.stderr
    runs = tmp_path / mounted[1:] / "runs"
    assert checkpoint.load(runs / "sprint.pt")[1] == "sprint"
    assert len(Run.load(runs / "sprint.json").epochs) == 1
    assert all(path.is_relative_to(runs.parent) for path in files() - before)


def test_its_command_is_one_of_the_course(container):
    (arguments,) = map(json.loads, steps("CMD"))
    assert container(*arguments, "--help").returncode == 0


def test_it_does_not_run_as_root():
    assert int(steps("USER")[-1].partition(":")[0]) > 0
    assert [name for name, _ in STEPS].index("USER") > max(i for i, (name, _) in enumerate(STEPS) if name == "RUN")


def test_the_compose_file_starts_ray_in_this_image():
    scripts = pytest.importorskip("ray.scripts.scripts")
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    arguments = {rest.partition("=")[0] for rest in steps("ARG")}
    for service in compose["services"].values():
        assert service["build"]["args"].keys() <= arguments
        ray, start, *options = service["entrypoint"].split()
        assert (ray, start) == ("ray", "start")
        scripts.start.make_context("start", options)  # an unknown option is an error
        for _, _, inside in (volume.partition(":") for volume in service.get("volumes", ())):
            assert inside in steps("VOLUME")
