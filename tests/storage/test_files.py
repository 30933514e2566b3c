import os

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.storage.files import check_format, ensure_writable, read_json, write_atomically


def test_it_makes_the_folder_and_leaves_nothing_beside_the_file(tmp_path):
    write_atomically(tmp_path / "new" / "file.txt", "text")
    assert (tmp_path / "new" / "file.txt").read_text() == "text"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, step):
    (tmp_path / "file.txt").write_text("old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(DrillError, match=r"file\.txt: No space left"):
        write_atomically(tmp_path / "file.txt", "new")
    assert (tmp_path / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DrillError, match=str(tmp_path / "file" / "below")):
        ensure_writable(tmp_path / "file" / "below")


@pytest.mark.parametrize("content", ['{"format": 1}', "{}", '{"format": "2"}'])
def test_another_format_is_one_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(DrillError, match=r"file\.json does not hold runs .*format is not 2.*read here: run it"):
        read_json(path, lambda values: check_format(values, 2, "run it"), "runs")
    path.write_text('{"format": 2}')
    read_json(path, lambda values: check_format(values, 2, "run it"), "runs")
