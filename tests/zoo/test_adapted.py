"""torchvision's networks: every one builds, takes a step and classifies images."""

import http.client
import re
import urllib.error

import pytest
import torch
from torch import nn
from torchvision import models

from mnist_drill.errors import DrillError
from mnist_drill.models import build, build_without_values
from mnist_drill.networks import parameter_count
from mnist_drill.recipes import Recipe
from mnist_drill.storage import checkpoint
from mnist_drill.storage.resume import fit_resumable
from mnist_drill.train import fit, predict
from mnist_drill.zoo.adapted import NAMES

STEP = Recipe(epochs=1, batch_size=8, momentum=0.0)  # of two images deep maps have hardly any variance
# One of each way in which the families differ: first and last layer, auxiliary outputs, patches, smallest side.
SMALL = ["alexnet", "convnext_tiny", "googlenet", "inception_v3", "mobilenet_v3_small", "regnet_x_400mf",
         "squeezenet1_1", "swin_t"]  # fmt: skip


def step(name, few, folder):
    train_set, test_set = few[0][:8], few[1][:4]
    model = build(name, 1)
    last = [p for p in model.parameters() if p.dim() > 1][-1]
    before = last.detach().clone()
    options = {"name": name, "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
    run = fit(model, STEP, train_set, test_set, **options)
    assert run.parameters == parameter_count(build_without_values(name)) == parameter_count(model)
    assert not torch.equal(before, last)
    assert next(model.parameters()).grad.abs().sum() > 0  # from the last layer back to the first
    logits = predict(model, test_set)
    assert logits.shape == (4, 10)
    assert logits.isfinite().all()
    checkpoint.save(folder / "model.pt", model, name, {})
    loaded, _ = checkpoint.load(folder / "model.pt")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())
    assert predict(loaded, test_set).isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_of_each_family_takes_a_step_and_classifies(name, few, tmp_path):
    step(name, few, tmp_path)


@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_a_training_is_resumed(name, few, tmp_path):
    def trained(state=None):
        model = build(name, 1)
        options = {"name": name, "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
        arguments = model, STEP.with_epochs(2), few[0][:16], few[1][:4]
        if state:
            fit_resumable(state, *arguments, **options)
        else:
            fit(*arguments, **options)
        return model.state_dict()

    whole = trained()
    trained(tmp_path / "state")
    resumed = trained(tmp_path / "state")
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


@pytest.mark.zoo
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SMALL)))
def test_every_other_network_takes_a_step_and_classifies(name, few, tmp_path):
    step(name, few, tmp_path)
    (tmp_path / "model.pt").unlink()  # gigabytes, in all


def test_a_linear_probe_trains_the_last_layer_alone(few):
    train_set, test_set = few[0][:16], few[1][:4]
    model = build("resnet18", 1, freeze=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    options = {"name": "resnet18", "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
    fit(model, STEP, train_set, test_set, **options)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"network.fc.weight", "network.fc.bias"}


@pytest.fixture
def hub(tmp_path):
    """An empty folder in place of that where torchvision keeps weights."""
    folder = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    yield tmp_path / "checkpoints"
    torch.hub.set_dir(folder)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "inception_v3", "densenet121"])
def test_pretrained_weights_are_those_in_torchvisions_cache(name, hub, few):
    torch.manual_seed(5)
    options = {"init_weights": False} if name == "inception_v3" else {}
    original = models.get_model(name, **options).eval()
    torch.save(original.state_dict(), hub / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2])
    model = build(name, 1, pretrained=True).eval()

    # A grey image gives the first layer the same output by one channel as by three.
    images = few[0].images[:2]
    first = next(x for x in original.modules() if isinstance(x, nn.Conv2d))
    adapted_first = next(x for x in model.modules() if isinstance(x, nn.Conv2d))
    assert torch.allclose(adapted_first(images), first(images.expand(-1, 3, -1, -1)), atol=1e-4)

    # All other layers but the last are the original's.
    shared = {key: value for key, value in model.network.state_dict().items() if key in original.state_dict()}
    different = [key for key, value in shared.items() if value.shape != original.state_dict()[key].shape]
    assert len(different) <= 3
    assert all(torch.equal(value, original.state_dict()[key]) for key, value in shared.items() if key not in different)


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no network"), http.client.IncompleteRead(b"cut"), RuntimeError("invalid hash value"),
    ],
)  # fmt: skip
def test_pretrained_weights_that_cannot_be_fetched_are_one_error(hub, monkeypatch, error):
    def refused(*arguments, **options):
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", refused)
    with pytest.raises(DrillError, match=rf"resnet18.*{re.escape(str(error))}.*https://.*checkpoints"):
        build("resnet18", pretrained=True)


@pytest.mark.parametrize("content", [b"", b"damaged", "zip cut off", "of another network"])
def test_a_damaged_file_of_pretrained_weights_is_one_error_that_names_it(hub, content):
    file = hub / models.get_model_weights("resnet18").DEFAULT.url.rpartition("/")[2]
    if isinstance(content, str):
        torch.save(models.squeezenet1_1().state_dict(), file)
        content = file.read_bytes()[:5000] if "cut" in content else file.read_bytes()
    file.write_bytes(content)
    with pytest.raises(DrillError, match=rf"^{re.escape(str(file))}.* resnet18 .*delete it$"):
        build("resnet18", pretrained=True)


@pytest.mark.parametrize(
    ("name", "side", "message"), [("vit_b_16", 40, "of 40 × 40 pixels"), ("alexnet", 28, "63 to 1024 pixels")]
)
def test_a_side_that_a_network_does_not_accept_is_an_error(name, side, message):
    with pytest.raises(DrillError, match=f"{name}.*{message}"):
        build(name, side=side)


def test_an_unknown_name_names_the_closest():
    with pytest.raises(DrillError, match="did you mean resnet18"):
        build("resnet-18")
