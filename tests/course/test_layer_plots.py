import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_drill.course import layer_plots
from mnist_drill.course.layers import class_maps, spread_of
from mnist_drill.data import normalize
from mnist_drill.models import build


@pytest.fixture
def figure(monkeypatch):
    """The figure that was shown last."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    yield lambda: shown[-1]
    assert not plt.get_fignums(), "every figure is closed once it was shown"


def drawn(figure):
    return [(axis, torch.tensor(axis.images[0].get_array())) for axis in figure.axes if axis.images]


def test_signed_maps_are_white_at_0(figure):
    maps = {"one": torch.tensor([[-3.0, 1.0]]), "none": torch.zeros(2, 2)}
    layer_plots.signed_maps(maps)
    for (axis, values), (name, given) in zip(drawn(figure()), maps.items(), strict=True):
        assert axis.get_title() == name
        assert torch.equal(values, given)
        low, high = axis.images[0].get_clim()
        assert low == -high < 0


def test_first_kernels_are_all_drawn_on_one_scale(figure):
    model = build("stage1", 1)
    layer_plots.first_kernels(model)
    kernels = drawn(figure())
    assert torch.equal(torch.stack([values for _, values in kernels]), model[0][0].weight.detach()[:, 0])
    assert len({axis.images[0].get_clim() for axis, _ in kernels}) == 1


@pytest.mark.parametrize("name", ["stage1", "stage4"])
def test_feature_maps_are_those_of_the_layers(few, figure, name):
    model, image = build(name, 1).train(), few[0].images[0]
    layer_plots.feature_maps(model, image)
    (_, first), *maps = drawn(figure())
    assert torch.equal(first, image[0])
    expected = normalize(image[None])
    model.eval()
    with torch.no_grad():
        for number, layer in enumerate(model):
            expected = layer(expected)
            if expected.dim() == 4 and expected.shape[-1] > 1:
                row = [values for _, values in maps[8 * number : 8 * number + 8]]
                assert torch.allclose(torch.stack(row), expected[0, :8], atol=1e-5)
    assert len(maps) % 8 == 0


def test_the_network_stays_in_its_mode_and_keeps_its_statistics(few, figure):
    model = build("stage4", 1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_plots.feature_maps(model, few[0].images[0])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_maps_are_named_after_what_the_layer_does(few):
    names = list(layer_plots.maps_of(build("stage2", 1), few[0].images[0]))
    assert names[:3] == ["1  conv 3×3", "2  conv 3×3, max pool 2×2", "3  conv 1×1"]
    assert names[-2:] == ["7  average pool 7×7", "8  conv 1×1"]


def test_a_map_is_the_convolution_of_the_image(few):
    model, image = build("stage1", 1), few[0].images[0]
    maps = layer_plots.maps_of(model, image)["1  conv 3×3"]
    assert torch.allclose(maps, F.conv2d(normalize(image), model[0][0].weight.detach()).relu(), atol=1e-5)


def test_spreads_are_over_images_and_end_at_the_logits(few, figure):
    images = few[0].images[:50]
    models = {"stage 2": build("stage2", 1), "stage 3": build("stage3", 1)}
    layer_plots.spreads(models, images)
    lines = figure().axes[0].lines
    assert [line.get_label() for line in lines] == list(models)
    for line, model in zip(lines, models.values(), strict=True):
        assert len(line.get_ydata()) == 7
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = model.train()(normalize(images))
        if "3" not in line.get_label():  # dropout draws anew
            assert line.get_ydata()[-1] == pytest.approx(logits.std(dim=0).mean().item(), rel=1e-4)
    assert spread_of(models["stage 2"], images[:1].repeat(9, 1, 1, 1)) == pytest.approx([0] * 7, abs=1e-6)


def test_a_channel_is_drawn_before_and_after_batch_norm(few, figure):
    model = build("stage3", 1).train()
    norm = model[5][1]
    statistics = norm.running_mean.clone()
    layer_plots.normalized(model, few[0].images[:100])
    before, normal, after = figure().axes
    assert [axis.get_title() for axis in (before, normal)] == ["before", "normalized"]
    assert all(len(axis.lines) == 3 for axis in (before, normal, after))
    for line in normal.lines:  # a density with mean 0 and standard deviation 1
        values, density = (torch.tensor(each, dtype=torch.float64) for each in (line.get_xdata(), line.get_ydata()))
        share = density / density.sum()
        mean = (share * values).sum()
        assert abs(mean) < 0.1
        assert abs((share * (values - mean) ** 2).sum() - 1) < 0.1
    assert torch.equal(norm.running_mean, statistics)


def test_occlusion_finds_the_pixels_that_a_decision_depends_on(figure):
    class Pixel(nn.Module):
        """Classifies by the pixel in row 10, column 20 alone: 3 where it is ink, 0 where it is not."""

        def forward(self, images):
            logits = torch.zeros(len(images), 10)
            logits[:, 3] = 10 * (images[:, 0, 10, 20] > 0)
            return logits

    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 10, 20] = 1
    layer_plots.occlusion(Pixel(), image, torch.tensor([3]), side=5)
    _, axis = figure().axes
    fall = torch.tensor(axis.images[1].get_array())
    assert (fall[8:13, 18:23] > 0.8).all()
    fall[8:13, 18:23] = 0
    assert (fall == 0).all()


def test_maps_of_classes_frame_the_prediction_and_name_each_logit(figure):
    model, images = build("stage2", 1), torch.rand(2, 1, 28, 28)
    layer_plots.maps_of_classes(model, images)
    axes = torch.arange(22).view(2, 11)
    for row, maps in zip(axes.tolist(), class_maps(model, images), strict=True):
        of_classes = [figure().axes[number] for number in row[1:]]
        shown = torch.stack([torch.tensor(axis.images[0].get_array()) for axis in of_classes])
        assert torch.equal(shown, maps)
        assert [axis.get_xlabel() for axis in of_classes] == [f"{mean:.1f}" for mean in maps.mean(dim=(1, 2))]
        widths = [axis.spines["top"].get_linewidth() for axis in of_classes]
        assert widths.index(max(widths)) == maps.mean(dim=(1, 2)).argmax()
        assert widths.count(max(widths)) == 1
