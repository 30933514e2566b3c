import pytest

from mnist_drill.errors import DrillError
from mnist_drill.judge.rules import PRESETS, Rules, read_rules


def test_the_presets_are_the_drill_and_the_classic_assignment():
    drill, classic = PRESETS["drill"], PRESETS["classic"]
    assert (drill.parameters_below, drill.epochs, drill.accuracy, drill.required) == (10_000, 15, 99.4, ())
    assert (classic.parameters_below, classic.epochs, len(classic.required)) == (20_000, 20, 3)


def test_a_file_changes_a_preset_and_what_it_leaves_out_stays(tmp_path):
    path = tmp_path / "course.toml"
    path.write_text('preset = "classic"\nepochs = 3\nforbidden = ["fully connected layer"]\n[limits]\nmemory_gb = 1\n')
    rules = read_rules(str(path))
    assert (rules.name, rules.epochs, rules.forbidden) == ("course", 3, ("fully connected layer",))
    assert (rules.parameters_below, rules.limits.memory_gb) == (20_000, 1)
    assert rules.limits.processes == Rules().limits.processes


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch = 3", "epochs"),
        ("epochs = 0", "epochs"),
        ('epochs = "3"', "epochs"),
        ("accuracy = 101", "accuracy"),
        ('required = ["batchnorm"]', "batch norm"),
        ('required = "dropout"', "required"),
        ('preset = "drills"', "drill"),
        ("limits = 3", "limits"),
        ("[limits]\nmemory = 1", "memory_gb"),
        ("[limits]\nmemory_gb = 0", "memory_gb"),
        ("[limits]\nseconds_to_examine = inf", "seconds_to_examine"),
        ("seeds = 3_000_000_000", "seeds"),
        ('required = ["dropout or batch norm"]\nforbidden = ["batch norm", "dropout"]', "required and forbidden"),
        ("epochs =", "cannot read"),
        (f"epochs = 0x{'f' * 5000}", "cannot read"),
    ],
)
def test_bad_rules_are_one_line_that_names_file_and_key(tmp_path, text, named):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(DrillError) as error:
        read_rules(str(path))
    message = str(error.value)
    assert str(path) in message
    assert named in message
    assert "\n" not in message


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(DrillError, match="drill, classic"):
        read_rules("clasic")
