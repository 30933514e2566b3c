from mnist_drill.course.diffs import network_diff, recipe_diff
from mnist_drill.models import build
from mnist_drill.recipes import PLAIN, STAGE4


def test_batch_norm_and_dropout_are_all_that_stage_3_adds():
    lines = network_diff(build("stage2"), build("stage3")).lines
    assert {line for line in lines if not line.startswith("  ")} == {"+ BatchNorm2d", "+ Dropout2d 0.002"}
    assert lines.count("+ BatchNorm2d") == 6


def test_a_layer_says_its_kernel_channels_and_padding():
    lines = network_diff(build("stage1"), build("stage2")).lines
    assert "- Conv2d 7×7, 128 → 128 channels" in lines
    assert "+ Conv2d 3×3, 1 → 16 channels, padding 1" in lines
    assert "+ AvgPool2d 7×7" in lines


def test_a_network_does_not_differ_from_itself():
    assert all(line.startswith("  ") for line in network_diff(build("stage4"), build("stage4")).lines)


def test_recipes_differ_in_pairs_of_lines():
    lines = recipe_diff(PLAIN, STAGE4).lines
    assert f"- batch_size = {PLAIN.batch_size}" in lines
    assert f"+ ema_decay = {STAGE4.ema_decay}" in lines
    assert not [line for line in lines if "momentum" in line]
    assert [line[0] for line in lines] == ["-", "+"] * (len(lines) // 2)


def test_markdown_shows_a_diff():
    diff = recipe_diff(PLAIN, PLAIN.with_epochs(3))
    assert diff._repr_markdown_() == f"```diff\n- epochs = {PLAIN.epochs}\n+ epochs = 3\n```"
