"""A command's options from a file."""

import pytest

from mnist_drill.recipes import Recipe
from mnist_drill.runs import Run


def test_options_come_from_a_file_and_the_command_line_has_precedence(drill, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(f'epochs = 1\nbatch-size = 50\nlearning_rate = 0.02\nout = "{tmp_path}"\noptimizer = "adam"\n')
    assert drill("train", "stage2", "--config", config, "--batch-size", 25, "--device", "cpu")[0] == 0
    recipe = Run.load(tmp_path / "stage2.json").recipe
    assert recipe == Recipe(epochs=1, batch_size=25, learning_rate=0.02, optimizer="adam")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("epoch = 1", "did you mean epochs"),
        ("epochs = 'two'", "epochs = 'two'"),
        ("epochs = 0", "epochs = 0"),
        ("epochs = 2.5", "epochs = 2.5"),
        ("epochs = true", "epochs = True"),
        ("freeze = 'perhaps'", "freeze = 'perhaps'"),
        ("optimizer = 'lion'", "optimizer"),
        ("epochs 1", "line 1"),
        ("config = 'x'", "config"),
    ],
)
def test_a_bad_configuration_is_one_line(drill, tmp_path, content, named):
    (tmp_path / "run.toml").write_text(content)
    status, _, errors = drill("train", "stage2", "--config", tmp_path / "run.toml", "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "run.toml" in errors
    assert named in errors
