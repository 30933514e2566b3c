import pytest

from mnist_drill.inside import trained
from mnist_drill.recipes import SPRINT
from mnist_drill.stages import STAGES, Stage


def test_the_page_is_written_where_it_is_asked_for(drill, tmp_path):
    status, output, _ = drill("inside", tmp_path / "page")
    assert status == 0
    assert {path.name for path in (tmp_path / "page").iterdir()} == {
        "index.html",
        *(f"{name}.js" for name in trained.names()),
    }
    assert f"wrote {tmp_path / 'page' / 'index.html'}" in output


def test_a_file_in_the_way_is_one_line(drill, tmp_path):
    (tmp_path / "file").touch()
    status, _, errors = drill("inside", tmp_path / "file")
    assert status == 2
    assert errors.startswith("Error: ") and len(errors.splitlines()) == 1
    assert "file" in errors


def test_train_makes_what_is_missing_and_says_so(drill, tmp_path, monkeypatch):
    stage = Stage(STAGES["stage4"].network, SPRINT.with_epochs(1), 9_904, 1, "04_augmentation_scheduler")
    monkeypatch.setattr(trained, "FOLDER", tmp_path / "trained")
    monkeypatch.setattr(trained.train_missing, "__kwdefaults__", {"folder": tmp_path / "trained"})
    monkeypatch.setattr(trained, "STAGES", {"stage4": stage})
    status, output, errors = drill("inside", tmp_path / "page", "--train", "--device", "cpu")
    assert (status, errors) == (0, "")
    assert "trained stage4" in output
    assert trained.names(tmp_path / "trained") == ["stage4"]


@pytest.mark.parametrize("option", ["--epochs", "--seed"])
def test_the_recipe_is_not_to_be_changed(drill, tmp_path, option):
    status, _, errors = drill("inside", tmp_path, option, "1")
    assert status == 2
    assert option in errors
