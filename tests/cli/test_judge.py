import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from mnist_drill.cli import main
from mnist_drill.course.notebooks import ROOT
from tests.leaderboard.reports import put


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.py"], "missing.py"),
        (["missing.py:Network"], "missing.py"),
        (["file.py", "--rules", "clasic"], "drill, classic"),
        (["file.py", "--rules", "missing.toml"], "missing.toml"),
        (["file.py", "--seeds", "0"], "seeds"),
        ([".", "--first-seed", "3"], "first-seed"),
        (["large.py"], "large.py"),
        (["bad_recipe.py"], "bad_recipe.toml"),
        (["bytes.py"], "bytes.py"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.py").write_text("network = None\n")
    (tmp_path / "large.py").write_text("#" * 1_000_001)
    (tmp_path / "bytes.py").write_bytes(b"\xff")
    (tmp_path / "bad_recipe.py").write_text("network = None\n")
    (tmp_path / "bad_recipe.toml").write_text('recipe_of = "stage4"\nepoch = 3\n')
    monkeypatch.setattr("sys.argv", ["mnist-drill", "judge", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert named in message
    assert message.count("\n") == 1


@pytest.mark.slow
def test_a_judgement_without_training_does_not_replace_one_with_trainings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "mine")
    before = (tmp_path / "mine.json").read_bytes()
    monkeypatch.setattr("sys.argv", ["mnist-drill", "judge", "mine.py", "--quick", "--out", "."])
    with pytest.raises(SystemExit):
        main()
    assert "kept mine.json" in capsys.readouterr().out
    assert (tmp_path / "mine.json").read_bytes() == before
    assert not (tmp_path / "mine.html").exists()


@pytest.mark.slow
def test_ctrl_c_ends_a_submission_that_hangs(tmp_path):
    (tmp_path / "hangs.py").write_text("while True:\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mnist_drill", "judge", "hangs.py", "--quick"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    started = time.monotonic()
    while not hanging(process.pid) and time.monotonic() < started + 120:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all
    interrupted = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() < interrupted + 30  # the examination alone may take 60 s
    assert (process.returncode, errors.decode().split("\n")) == (130, ["", "Interrupted.", ""])


def hanging(pid):
    """Whether a process below this one has used the CPU for a second since it was forked."""
    children = psutil.Process(pid).children(recursive=True)
    with suppress(psutil.NoSuchProcess):
        return len(children) > 2 and any(x.cpu_times().user > 1 for x in children[1:])
    return False
