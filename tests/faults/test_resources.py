"""What is missing or full: one error that says so, and nothing half-written."""

import os
import resource
import signal
import subprocess

import pytest
import torch

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.recipes import Recipe
from mnist_drill.storage import mnist as source
from mnist_drill.storage.files import write_atomically
from mnist_drill.storage.resume import fit_resumable
from mnist_drill.study.execution import execute, executor_for
from mnist_drill.study.folder import Folder
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study, identities
from mnist_drill.study.work import Listed

RECIPE = Recipe(epochs=2, batch_size=50)


@pytest.fixture
def quota():
    """No file may be larger than 100 kB: the system refuses what is more, as a full disk does."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_file_beyond_the_quota_is_an_error_and_the_old_one_stays(quota, tmp_path):
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(DrillError, match=r"cannot write .*file: File too large"):
        write_atomically(tmp_path / "file", bytes(200_000))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_an_error_and_the_old_one_stays(small_disk):
    write_atomically(small_disk / "file", b"old")
    with pytest.raises(DrillError, match=r"cannot write .*file: No space left"):
        write_atomically(small_disk / "file", bytes(200_000))
    assert (small_disk / "file").read_bytes() == b"old"
    assert os.listdir(small_disk) == ["file"]


def test_a_training_that_cannot_be_kept_says_so(small_disk, few):
    with pytest.raises(DrillError, match=r"stage2\.state: No space left"):
        fit_resumable(
            small_disk / "stage2.state", build("stage2", 1), RECIPE, *few, name="stage2", seed=1, device="cpu"
        )
    assert os.listdir(small_disk) == []


def test_a_study_on_a_full_disk_keeps_its_finished_runs_and_goes_on_where_there_is_room(small_disk, few, monkeypatch):
    monkeypatch.setattr(data, "load", lambda: (few[0][:100], few[1][:50]))
    study = Study({"a": Row(Network("stage2"), Recipe(epochs=1, batch_size=50))}, tuple(range(1, 31)))
    folder = Folder(small_disk / "out")
    with pytest.raises(DrillError, match=r"cannot write .*out/runs/.*: No space left"):
        execute(Listed(folder.begin(study, identities(study, ""))), executor_for("cpu"), folder.store, "study")
    before = folder.load(folder.asked())["a"]
    assert [run.seed for run in before] == list(range(1, len(before) + 1))
    assert 3 < len(before) < 30
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    execute(Listed(folder.begin(study, identities(study, ""))), executor_for("cpu"), folder.store, "study")
    after = folder.load(folder.asked())["a"]
    assert len(after) == 30
    assert after[: len(before)] == before


def test_images_that_do_not_fit_a_device(few, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(DrillError, match="no memory for 500 images"):
        few[0].to("cuda")


def test_a_data_file_that_is_removed_meanwhile_is_named(mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MIRRORS", ())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in source.CHECKSUMS:
        (raw / name).symlink_to((source.data_folder() / "MNIST" / "raw" / name).resolve())
    data.load(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DrillError, match="t10k-labels-idx1-ubyte"):
        data.load(tmp_path)
