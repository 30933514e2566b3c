import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.models import build, check_name, recipe_for
from mnist_drill.recipes import ADAPTED
from mnist_drill.stages import NETWORKS


def test_the_random_seed_decides_the_weights_and_leaves_the_random_state():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = build("stage3", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    again, other = build("stage3", seed=1), build("stage3", seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_an_unknown_name_lists_the_names():
    with pytest.raises(DrillError, match=r"stage9.*stage1, stage2, stage3, stage4"):
        build("stage9")


def test_a_mistyped_name_names_the_closest():
    with pytest.raises(DrillError, match="did you mean stage3"):
        check_name("stage-3")


def test_every_network_has_its_recipe():
    assert {name: recipe_for(name) for name in NETWORKS} == {name: stage.recipe for name, stage in NETWORKS.items()}
    assert recipe_for("resnet18") == ADAPTED
