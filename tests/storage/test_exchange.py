"""Networks in ONNX: the same function as in torch, for batches of any size."""

import sys

import pytest
import torch

from mnist_drill.data import normalize
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.stages import STAGES
from mnist_drill.storage.exchange import write_onnx

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module", params=STAGES)
def exported(request, few, tmp_path_factory):
    """Each stage, with weights that let its logits neither vanish nor grow, and a session that runs its file."""
    model = build(request.param, 1)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):  # from torch's initialization to that of He et al., 2015
                layer.weight *= 6**0.5
        for images in normalize(few[0].images[:200]).split(100):  # batch norm has seen something
            model(images)
    path = tmp_path_factory.mktemp("onnx") / f"{request.param}.onnx"
    write_onnx(path, model.train(), request.param)
    return request.param, model.eval(), onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [1, 3, 7, 129])
@torch.inference_mode()
def test_its_logits_are_torchs_for_a_batch_of_any_size(exported, few, size):
    _, model, session = exported
    images = normalize(few[1].images[:size])
    expected = model(images)
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    assert expected.std() > 0.1, "logits that are all alike would show nothing"
    # The order of sums, and with it the last digits, differs from processor to processor.
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=2e-5, rtol=1e-5)


def test_the_file_says_of_which_network_it_is_and_how_to_normalize(exported, few):
    name, _, session = exported
    said = session.get_modelmeta().custom_metadata_map
    images = few[1].images[:2]
    assert said["network"] == name
    assert torch.allclose((images - float(said["mean"])) / float(said["std"]), normalize(images))


def test_where_onnx_is_missing_it_says_what_to_install_and_leaves_the_file(monkeypatch, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_text("earlier")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DrillError, match="pip install onnx"):
        write_onnx(path, build("stage2", 1), "stage2")
    assert path.read_text() == "earlier"


def test_a_network_that_onnx_cannot_express_is_one_error(tmp_path):
    class Spectrum(torch.nn.Module):
        def forward(self, images):
            return torch.special.bessel_j0(images).flatten(1)[:, :10]

    pytest.importorskip("onnx")
    with pytest.raises(DrillError, match="bessel") as caught:
        write_onnx(tmp_path / "x.onnx", Spectrum(), "spectrum")
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
