import torch

from mnist_drill.course.layers import layer_table, summary
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
