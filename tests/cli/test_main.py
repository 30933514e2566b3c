"""What all commands have in common: help, bad input, errors, and how little is loaded for them."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from mnist_drill import __version__, cli
from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage import resume

# Runs the command with each list of arguments, and prints for each the status and what it loaded of the heavy modules.
RUN_EACH = """
import contextlib, io, json, sys
from mnist_drill.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["mnist-drill", *arguments]
    status, said = 0, io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    heavy = [name for name in ("torch", "torchvision", "matplotlib", "numpy", "mlflow") if name in sys.modules]
    print(json.dumps([status, said.getvalue(), heavy]))
"""
USAGE_ERRORS = [
    [],
    ["unknown"],
    ["--unknown"],
    *([name, "--unknown"] for name in cli.COMMANDS),
    *([name] for name in ("train", "evaluate", "predict", "ensemble", "submit", "export", "evidence", "badges")),
    ["predict", "FILE"],
    ["train", "stage2", "more"],
    ["train", "stage2", "--epochs", "0"],
    ["train", "stage2", "--batch-size", "one"],
    ["train", "stage2", "--seed", "-1"],
    ["train", "stage2", "--optimizer", "lion"],
    ["train", "stage2", "--device", "tpu"],
    ["train", "stage2", "--track", "paper"],
    ["train", "stage2", "--config", "missing.toml"],
    ["train", "stage2", "--config", "FILE"],
    ["train", "stage2", "--config", "run.toml"],
    ["evidence", "stage2", "--jobs", "0"],
    ["bench", "--only", "nothing"],
    ["bench", "--out", "."],
]


def run_each(lists, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH, json.dumps(lists)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help_loads_nothing_heavy_and_names_every_command(tmp_path):
    general, short, version, *helps = run_each(
        [["--help"], ["-h"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)], tmp_path
    )
    assert general == short
    assert all(f"\n  {name} " in general[1] for name in cli.COMMANDS)
    assert version[1].strip() == f"MNIST Drill {__version__}"
    for (status, said, heavy), name in zip(helps, cli.COMMANDS, strict=True):
        assert said.startswith(f"Usage: mnist-drill {name} ")
        assert (status, heavy) == (0, []), name


def test_commands_that_write_into_the_clone_stand_apart_in_the_help(tmp_path):
    """Not those that a flag such as --store has write there: their own purpose is another."""
    ((_, said, _),) = run_each([["--help"]], tmp_path)
    sections = dict(re.findall(r"^(\S.*):\n((?:  .+\n)+)", said, re.M))
    listed = {title: re.findall(r"^  ([a-z]+) {2,}\S", lines, re.M) for title, lines in sections.items()}
    *_, last = [title for title in sections if title in cli.GROUPS]
    assert last == "For maintainers of the course"
    assert set(listed[last]) == {"evidence", "render", "exercises", "badges"}
    assert [name for title in cli.GROUPS for name in listed[title]] == list(cli.COMMANDS)
    lines = [line for title in cli.GROUPS for line in sections[title].splitlines()]
    assert len({line.index(line.split(maxsplit=1)[1]) for line in lines}) == 1  # one column of descriptions


def test_usage_errors_load_nothing_heavy(tmp_path):
    (tmp_path / "FILE").write_text("no configuration")
    (tmp_path / "run.toml").write_text("epoch = 1")
    for (status, said, heavy), arguments in zip(run_each(USAGE_ERRORS, tmp_path), USAGE_ERRORS, strict=True):
        assert (status, heavy) == (2, []), arguments
        assert said.startswith("Usage" if not arguments else "Error: "), arguments
        assert len(said.splitlines()) == 1 or not arguments, arguments


@pytest.mark.parametrize(
    "module",
    [
        "recipes", "runs", "errors", "storage.files", "course.tables", "course.statistics", "benchmark", "cli.training",
        "cli.networks", "cli.studies", "cli.course", "cli.config", "cli.tracking",
    ],
)  # fmt: skip
def test_what_the_command_imports_at_once_does_without_torch(module):
    code = f"import sys, mnist_drill.{module}; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_function_and_help(name):
    command = cli.cli.get_command(None, name)
    assert (command.name, bool(command.help)) == (name, True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "stage9"], "stage1, stage2, stage3, stage4"),
        (["train", "stage2", "--epochs", "0"], "--epochs"),
        (["train", "stage2", "--epochs", "many"], "--epochs"),
        (["train", "stage2", "--device", "tpu"], "--device"),
        (["train", "stage2", "--out", "FILE/sub"], "FILE/sub"),
        (["train", "stage2", "--seed", str(2**64)], "--seed"),
        (["train"], "NAME"),
        (["evaluate", "missing/stage2.pt"], "missing/stage2.pt"),
        (["evaluate", "FILE"], "FILE is not a checkpoint"),
        (["train", "stage4", "--resize", "32"], "stage4"),
        (["train", "resnet18", "--resize", "100000"], "1024"),
        (["train", "vit_b_16", "--resize", "33"], "33"),
        (["train", "resnet-18"], "did you mean resnet18"),
        (["train", "stage4", "--table", "FILE"], "FILE, row 1"),
        (["predict", "FILE", "FILE"], "FILE is not a checkpoint"),
        (["submit", "FILE", "FILE"], "row 1"),
        (["submit", "FILE", "FILE", "--out", "new/entry.csv"], "row 1"),
        (["evaluate", "FILE", "--network", "stage2"], "FILE"),
        (["ensemble", "FILE"], "FILE is not a checkpoint"),
        (["export", "FILE", "new/stage2.pt"], "FILE is not a checkpoint"),
        (["compare", "resnet-18"], "did you mean resnet18"),
        (["compare", "resnet18", "--vote", "resnet34"], "--vote resnet34"),
        (["train", "stage2", "--track", "paper"], "--track"),
        (["evidence", "stage_2"], "did you mean stage2"),
        (["evidence", "stage2", "--notebook", "FILE"], "FILE"),
        (["bench", "--only", "limit", "--out", "FILE"], "FILE does not hold a benchmark"),
        (["badges", "nonsense"], "OWNER/REPO"),
        (["workbook", "--out", "FILE/sub.xlsx"], "FILE"),
        (["evaluate", ""], "path is empty"),
        (["inside", ""], "path is empty"),
        (["judge", ""], "path is empty"),
        (["evaluate", "a" * 300], "File name too long"),
        (["leaderboard", "show", "--folder", "boards"], "cannot read boards"),
        (["leaderboard", "check", ".", "--folder", "boards"], "cannot read boards"),
        (["leaderboard", "add", "FILE"], "NAME.py"),
        (["site", "--out", "/"], "holds the clone itself"),
        (["unknown"], "unknown"),
        (["trian"], "did you mean train"),
    ],
)
def test_bad_input_is_one_line_and_status_2(drill, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resume, "fit", lambda *a, **k: pytest.fail("trained before the input was checked"))
    (tmp_path / "FILE").write_text("not a folder, not a checkpoint")
    status, _, errors = drill(*arguments)
    assert status == 2
    assert named in errors
    assert len(errors.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_unavailable_device(drill, tmp_path):
    status, _, errors = drill("train", "stage2", "--device", "cuda", "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "cuda" in errors


@pytest.mark.parametrize("arguments", [["train", "stage2", "--out", "FOLDER"], ["evaluate", "stage2.pt"]])
def test_a_gpu_whose_memory_is_full_is_one_line_with_options_that_the_command_has(
    drill, tmp_path, monkeypatch, arguments
):
    def run_out(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resume, "fit", run_out)
    monkeypatch.setattr("mnist_drill.storage.checkpoint.load", run_out)
    status, _, errors = drill(*arguments)
    assert (status, len(errors.splitlines())) == (2, 1)
    has = {option for each in cli.cli.get_command(None, arguments[0]).params for option in each.opts}
    named = set(re.findall(r"--[a-z-]+", errors))
    assert "--device" in named
    assert named <= has


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_output_to_a_full_disk_is_one_line():
    command = [sys.executable, "-m", "mnist_drill", "--help"]
    with open("/dev/full", "w") as full:
        run = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "no space is left" in run.stderr


def test_ctrl_c_outside_a_training_has_its_own_status(drill, tmp_path, monkeypatch):
    def press(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("mnist_drill.storage.checkpoint.load", press)
    status, _, errors = drill("evaluate", tmp_path / "stage2.pt")
    assert (status, errors.split()) == (130, ["Interrupted."])


def test_as_a_command(tmp_path):
    command = [sys.executable, "-m", "mnist_drill"]
    run = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stdout.startswith("Usage: python -m mnist_drill ")
    assert "python -m mnist_drill train stage4" in run.stdout
    assert all(name in run.stdout for name in ("train", "evaluate", "evidence", "badges", "render"))
    environment = {**os.environ, "MNIST_DRILL_DATA": str(ROOT / "README.md")}
    unwritable = [*command, "train", "stage2", "--out", str(tmp_path)]
    run = subprocess.run(unwritable, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert "README.md" in run.stderr
    run = subprocess.run([*command, "train", "stage9"], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
