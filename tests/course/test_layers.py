import pytest
import torch
from torch import nn

from mnist_drill.course.layers import class_maps, layer_table, summary
from mnist_drill.data import normalize
from mnist_drill.errors import DrillError
from mnist_drill.models import build


def test_layer_table_adds_up():
    total = layer_table(build("stage3")).rows[-1]
    assert total[-2:] == ["9,712", "192"]
    without = layer_table(build("stage2"))  # batch norm
    assert without.rows[-1][-1] == "9,712"
    assert {len(row) for row in without.rows} == {len(without.header)} == {9}


def test_summary_leaves_the_network_and_the_random_state(capsys):
    model = build("stage3", 1).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    summary(model)
    assert "Total params: 9,904" in capsys.readouterr().out
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_the_mean_of_a_classs_map_is_its_logit():
    model, images = build("stage3", 1).train(), torch.rand(4, 1, 28, 28)
    maps = class_maps(model, images)
    assert maps.shape == (4, 10, 7, 7)
    with torch.inference_mode():
        torch.testing.assert_close(maps.mean(dim=(2, 3)), model.eval()(normalize(images)))


@pytest.mark.parametrize("model", [build("stage1", 1), nn.Sequential(nn.Flatten()), nn.Linear(2, 2)])
def test_a_network_that_does_not_end_in_pool_and_1x1_convolution_has_no_class_maps(model):
    with pytest.raises(DrillError, match="AvgPool2d"):
        class_maps(model, torch.rand(1, 1, 28, 28))
