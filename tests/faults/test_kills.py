"""Processes killed at random moments: nothing on the disk is ever unreadable, and what is resumed ends the same.

The processes are forks of this one, on one thread each, so that fifty of them take a minute and not ten.
"""

import gzip
import http.server
import json
import os
import random
import signal
import sys
import time

import pytest
import torch

from mnist_drill import cli, data
from mnist_drill.evidence import stored
from mnist_drill.evidence.collect import collect
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.recipes import STAGE4, Recipe
from mnist_drill.runs import Run
from mnist_drill.storage import checkpoint
from mnist_drill.storage import mnist as source
from mnist_drill.storage.archive import read_archive
from mnist_drill.storage.files import write_atomically
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study
from tests.comparing import without_seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
]

SEED = 11


class Process:
    """A fork that does some work and ends; `kill` ends it sooner."""

    def __init__(self, work):
        self.start = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                torch.set_num_threads(1)
                signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where these tests run
                out = os.open(os.devnull, os.O_WRONLY)
                os.dup2(out, 1)
                os.dup2(out, 2)
                work()
                status = 0
            except SystemExit as stop:
                status = stop.code
            finally:
                os._exit(status)

    def kill_after(self, seconds):
        """Whether it was killed: it may have ended by then, which then has to be well."""
        deadline = self.start + seconds
        while time.monotonic() < deadline:
            if self.ended():
                return False
            time.sleep(0.001)
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        return os.WIFSIGNALED(status)

    def ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        assert not pid or status == 0, f"ended with {status}"
        return bool(pid)

    def seconds(self):
        while not self.ended():
            time.sleep(0.001)
        return time.monotonic() - self.start


@pytest.fixture(autouse=True)
def one_thread():
    """A fork must not inherit the threads of a pool, or it waits for them for ever."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(path):
    return checkpoint.load(path)[0].state_dict()


def rows(path):
    return without_seconds(Run.load(path))


def readable(folder):
    """Whatever lies under its own name can be read."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue  # a temporary name
        if path.suffix == ".state":
            read_archive(path)
        elif path.suffix == ".pt":
            checkpoint.load(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())


@pytest.mark.parametrize("name", ["stage4", "stage3"])  # with an EMA of the weights and a schedule, and without
def test_a_training_that_is_killed_again_and_again_ends_the_same(name, few, tmp_path, monkeypatch):
    small = few[0][:300], few[1][:100]
    monkeypatch.setattr(data, "load", lambda: small)

    def train(folder, *options):
        arguments = ["mnist_drill", "train", name, "--epochs", "6", "--device", "cpu", "--out", str(folder), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        cli.main()

    whole = tmp_path / "whole"
    seconds = Process(lambda: train(whole)).seconds()
    draw = random.Random(SEED)
    kills = finished = 0
    folder = tmp_path / "0"
    while kills < 25 or not finished:
        if Process(lambda folder=folder: train(folder, "--resume")).kill_after(draw.uniform(0, 0.7 * seconds)):
            kills += 1
            if folder.exists():
                readable(folder)
            continue
        ours, theirs = weights(folder / f"{name}.pt"), weights(whole / f"{name}.pt")
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        assert rows(folder / f"{name}.json") == rows(whole / f"{name}.json")
        assert not (folder / f"{name}.state").exists()
        finished += 1
        folder = tmp_path / str(finished)
    assert kills >= 25


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(few, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda: few)
    said = tmp_path / "said"

    def train(*options):
        sys.stderr = said.open("w", buffering=1)
        arguments = ["train", "stage2", "--epochs", "500", "--device", "cpu", "--out", str(tmp_path), *options]
        monkeypatch.setattr(sys, "argv", ["mnist_drill", *arguments])
        cli.main()

    process = Process(train)
    while not (tmp_path / "stage2.state").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, status = os.waitpid(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert said.read_text().count("\n") == 1
    assert "--resume" in said.read_text()
    assert 1 <= len(read_archive(tmp_path / "stage2.state")["rows"]) < 500


def test_a_file_whose_writing_is_killed_is_the_old_or_the_new_one(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([letter]) * 30_000_000 for letter in b"ab"]
    write_atomically(path, contents[0])
    draw = random.Random(SEED)
    seconds = Process(lambda: write_atomically(tmp_path / "other", contents[0])).seconds()
    kills = 0
    while kills < 30:
        new = contents[kills % 2]
        kills += Process(lambda new=new: write_atomically(path, new)).kill_after(draw.uniform(0, 1.2 * seconds))
        assert path.read_bytes() in contents


@pytest.fixture
def slow_mirror(mnist, serve_as_mirror):
    """A mirror on this machine that sends every file in a few tenths of a second, and no other source."""
    raw = source.data_folder() / "MNIST" / "raw"
    packed = {name: gzip.compress((raw / name).read_bytes(), 1) for name in source.CHECKSUMS}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = packed[self.path.strip("/").removesuffix(".gz")]
            self.send_response(200)
            self.end_headers()
            step = len(content) // 10 + 1
            try:
                for start in range(0, len(content), step):
                    self.wfile.write(content[start : start + step])
                    time.sleep(0.01)
            except OSError:
                pass  # the client was killed

        def log_message(self, *args):
            pass

    serve_as_mirror(Handler)


def test_a_fetch_that_is_killed_again_and_again_leaves_whole_files(slow_mirror, tmp_path):
    draw = random.Random(SEED)
    seconds = Process(lambda: source.fetch(tmp_path / "whole")).seconds()
    kills, number = 0, 0
    while kills < 20:
        raw = tmp_path / str(number) / "MNIST" / "raw"
        killed = Process(lambda raw=raw: source.fetch(raw.parents[1])).kill_after(draw.uniform(0, seconds))
        kills += killed
        number += not killed
        for path in raw.iterdir() if raw.exists() else ():
            if not path.name.startswith("."):
                assert source._intact(path.name, path.read_bytes())
    assert source.fetch(raw.parents[1]).keys() == source.CHECKSUMS.keys()


def test_two_that_fetch_at_once_leave_whole_files_and_ask_once(slow_mirror, tmp_path):
    processes = [Process(lambda: source.fetch(tmp_path)) for _ in range(3)]
    for process in processes:
        process.seconds()
    raw = tmp_path / "MNIST" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(source.CHECKSUMS)
    assert all(source._intact(path.name, path.read_bytes()) for path in raw.iterdir())


def test_evidence_that_is_killed_again_and_again_is_the_same(few, tmp_path, monkeypatch):
    small = few[0][:300], few[1][:100]
    recipe = Recipe(epochs=1, learning_rate=0.1, batch_size=50)
    recipes = {"fast": recipe, "stage4": STAGE4.with_epochs(1)}
    study = Study({name: Row(Network("stage2"), each) for name, each in recipes.items()}, tuple(range(1, 9)))
    monkeypatch.setattr(data, "load", lambda: small)
    monkeypatch.setitem(STUDIES, "small", study)

    def collect_into(folder):
        monkeypatch.setattr(stored, "FOLDER", folder)
        collect("small", device="cpu")

    def runs_in(folder):
        monkeypatch.setattr(stored, "FOLDER", folder)
        return [(run.name, run.seed, without_seconds(run)) for run in stored.load_runs("small")]

    seconds = Process(lambda: collect_into(tmp_path / "whole")).seconds()
    draw = random.Random(SEED)
    kills, number = 0, 0
    while kills < 20 or number == 0:
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        if Process(lambda folder=folder: collect_into(folder)).kill_after(draw.uniform(0, 0.5 * seconds)):
            kills += 1
            runs_in(folder)
        else:
            assert runs_in(folder) == runs_in(tmp_path / "whole")
            number += 1
