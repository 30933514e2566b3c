from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch

from mnist_drill.course import plots, study_plots
from mnist_drill.data import LabeledImages
from mnist_drill.models import build
from mnist_drill.predictions import confusion_matrix
from mnist_drill.receptive_field import trace
from mnist_drill.recipes import STAGE4, Augmentation
from mnist_drill.train import fit, predict
from mnist_drill.zoo.comparison import Entry


@pytest.fixture
def figure(monkeypatch):
    """The figure that was shown last."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    yield lambda: shown[-1]
    assert not plt.get_fignums(), "every figure is closed once it was shown"


@pytest.fixture(scope="module")
def trained(few):
    model = build("stage3", 1)
    return model, fit(model, STAGE4.with_epochs(2), *few, name="stage4", seed=1, progress=False)


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_image_grid(few, figure):
    plots.image_grid(few[0].images[:13], [str(n) for n in range(13)], columns=5)
    assert titles(figure()) == [str(n) for n in range(13)]
    drawn = [axis.images[0].get_array() for axis in figure().axes if axis.images]
    assert torch.equal(torch.tensor(drawn[12]), few[0].images[12, 0])


def test_class_counts(few, figure):
    plots.class_counts({"training": few[0]})
    heights = [bar.get_height() for bar in figure().axes[0].patches]
    assert heights == few[0].labels.bincount(minlength=10).tolist()


def test_budget(figure):
    plots.budget({"stage1": trace(build("stage1")), "stage3": trace(build("stage3"))})
    for axis, total in zip(figure().axes, (992_800, 9_904), strict=True):
        counts = [int(text.get_text().partition(" ")[0].replace(",", "")) for text in axis.texts]
        assert sum(counts) == total
        assert [bar.get_width() for bar in axis.patches] == pytest.approx([100 * count / total for count in counts])


def test_receptive_fields_are_drawn_where_they_lie(few, figure):
    plots.receptive_fields(few[0].images[0], trace(build("stage2")))
    squares = [axis.patches[1].get_bbox().extents.tolist() for axis in figure().axes if axis.patches]
    # The middle of 28 outputs is number 13: it sees the pixels 12 to 14. The last sees all, and the padding.
    assert squares[0] == [11.5, 11.5, 14.5, 14.5]
    assert squares[-1] == [-1.5, -1.5, 28.5, 28.5]
    assert [x1 - x0 for x0, _, x1, _ in squares] == [layer.field_out for layer in trace(build("stage2"))]


def test_hard_images_are_those_that_some_network_gets_right_the_least_probable_first(few, figure):
    dataset = LabeledImages(few[0].images[:4], torch.tensor([3, 1, 4, 1]))
    margins = {"one": [9, -1, -9, 2], "other": [8, 1, -9, -1]}  # of the label's logit over all others, which are equal
    logits = {name: torch.zeros(4, 10) for name in margins}
    for name, values in margins.items():
        logits[name][range(4), dataset.labels] = torch.tensor(values).float()
    plots.hard_images(logits, dataset)
    images, said = figure().axes
    assert [tick.get_text() for tick in images.get_xticklabels()] == ["label 1", "label 1", "label 3"]
    assert torch.equal(torch.tensor(images.images[0].get_array())[:, 2:30], dataset.images[1, 0])
    assert [tick.get_text() for tick in said.get_yticklabels()] == ["one", "other"]
    framed = {(round(x.get_x() + 0.46), round(x.get_y() + 0.44)) for x in said.patches if x.get_width() == 0.92}
    assert framed == {(0, 0), (1, 1)}
    assert said.texts[2].get_text() == "3: 100%"


def test_curves_and_losses(trained, figure):
    _, run = trained
    plots.curves(run, replace(run, name="other"), lowest=0)
    for axis, part in zip(figure().axes, ("train_accuracy", "test_accuracy"), strict=True):
        assert list(axis.lines[0].get_ydata()) == [getattr(row, part) for row in run.epochs]
        assert [line.get_label() for line in axis.lines] == ["stage4", "other"]
    plots.losses(run)
    assert list(figure().axes[0].lines[1].get_ydata()) == [row.test_loss for row in run.epochs]


def test_curves_have_a_band_from_the_lowest_to_the_highest_seed(trained, figure):
    _, run = trained
    lower, higher = (
        replace(run, epochs=tuple(replace(row, test_accuracy=row.test_accuracy + move) for row in run.epochs))
        for move in (-3, 2)
    )
    plots.curves(run, seeds=[higher, run, lower])
    corners = figure().axes[1].collections[0].get_paths()[0].vertices
    for row in run.epochs:
        band = corners[corners[:, 0] == row.epoch, 1]
        assert (band.min(), band.max()) == pytest.approx((row.test_accuracy - 3, row.test_accuracy + 2))


def test_the_legend_says_which_epochs_lie_below_the_picture(trained, figure):
    _, run = trained
    rows = [
        replace(run.last, epoch=n, train_accuracy=99.0, test_accuracy=x) for n, x in ((1, 20.0), (2, 90.0), (3, 98.0))
    ]
    plots.curves(replace(run, epochs=tuple(rows)), lowest=97)
    labels = [[line.get_label() for line in axis.lines] for axis in figure().axes]
    assert labels == [[run.name], [f"{run.name}, below: epoch 1, 2"]]


def test_an_ablation_shows_every_run_and_the_mean(trained, figure):
    _, run = trained
    other = replace(run, epochs=(replace(run.last, test_accuracy=50.0),))
    study_plots.ablation({"one": [run, run], "other": [other, run]}, "one")
    accuracies, gaps = figure().axes
    assert [label.get_text() for label in accuracies.get_yticklabels()] == ["one", "other"]
    for axis, values in (
        (accuracies, [50.0, run.last.test_accuracy]),
        (gaps, [other.generalization_gap, run.generalization_gap]),
    ):
        dots, mean = axis.lines[2:]
        assert list(dots.get_xdata()) == values
        assert list(mean.get_xdata()) == pytest.approx([sum(values) / 2])


def test_costs_are_parameters_and_seconds(trained, figure):
    _, run = trained
    study_plots.costs({"one": [run]}, "one")
    places = [axis.lines[0].get_xydata()[0].tolist() for axis in figure().axes]
    assert places == [
        [9_904, run.last.test_accuracy],
        [run.seconds_per_epoch, run.last.test_accuracy],
    ]


def test_entries_stand_at_their_parameters_and_accuracy(figure, tmp_path):
    entries = [
        Entry("stage4", (), 9_904, 15, 99.4, 99.5, (6.0,), 10),
        Entry("resnet18", (), 11_175_370, 5, 99.3, 99.2, (60.0,), 100),
        Entry("ensemble of 2", ("stage4", "resnet18"), 11_185_274, 15, 99.5, 99.6, (66.0,), 110),
    ]
    study_plots.accuracy_against_parameters(entries)
    (axis,) = figure().axes
    points = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axis.lines if len(line.get_xdata())}
    assert points == {(entry.parameters, entry.test) for entry in entries}
    assert [text.get_text() for text in axis.texts] == ["stage4", "resnet18", "ensemble of 2"]
    study_plots.accuracy_against_parameters(entries, path=tmp_path / "entries.png")
    assert (tmp_path / "entries.png").read_bytes().startswith(b"\x89PNG")


def test_losses_of_a_study_have_a_line_for_each_run_and_a_name_for_each_variant(trained, figure):
    _, run = trained
    other = replace(run, epochs=tuple(replace(row, test_loss=2 * row.test_loss) for row in run.epochs))
    study_plots.losses({"one": [run, run], "other": [other]})
    (axis,) = figure().axes
    assert [list(line.get_ydata()) for line in axis.lines] == [
        [row.test_loss for row in each.epochs] for each in (run, run, other)
    ]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["one", "other"]
    assert len({line.get_color() for line in axis.lines}) == 2


def test_schedules_show_the_learning_rate_below_the_accuracy(trained, figure):
    _, run = trained
    study_plots.schedules({"one": [run], "other": [run]}, lowest=10, columns=3)
    accuracy, *_ = (axis for axis in figure().axes if axis.get_title() == "other")
    assert list(accuracy.lines[0].get_ydata()) == [row.test_accuracy for row in run.epochs]
    (rate, _) = (axis for axis in figure().axes if axis.lines and axis.get_yscale() == "log")
    steps, rates = rate.lines[0].get_data()
    assert list(rates) == [run.recipe.learning_rate_at(step / 2) for step in steps]


def test_errors_are_errors_and_the_most_confident_come_first(trained, few, figure):
    model, _ = trained
    plots.most_confident_errors(model, few[1], most=7)
    confidence, predicted = predict(model, few[1]).softmax(dim=1).max(dim=1)
    wrong = [i for i in range(500) if predicted[i] != few[1].labels[i]]
    first = sorted(wrong, key=lambda i: -confidence[i])[:7]
    assert titles(figure()) == [f"{few[1].labels[i]} as {predicted[i]}\n{confidence[i]:.0%}" for i in first]


def test_no_error_is_no_figure(trained, few):
    model, _ = trained
    right = predict(model, few[1]).argmax(dim=1)
    plots.most_confident_errors(model, LabeledImages(few[1].images, right))


def test_confusion(trained, few, figure):
    model, _ = trained
    plots.confusion(model, few[1])
    counts = confusion_matrix(predict(model, few[1]), few[1].labels)
    written = {text.get_position()[::-1]: int(text.get_text()) for text in figure().axes[0].texts}
    assert written == {(r, c): int(counts[r, c]) for r in range(10) for c in range(10) if counts[r, c]}


def test_learning_rate(figure):
    plots.learning_rate({"stage4": STAGE4, "shorter": STAGE4.with_epochs(3)}, points=10)
    whole, shorter = figure().axes[0].lines
    assert list(whole.get_ydata()) == [STAGE4.learning_rate_at(step / 150) for step in range(150)]
    assert list(shorter.get_xdata()) == [step / 10 for step in range(30)]


def test_augmentations_show_the_same_images_and_leave_the_random_state(few, figure):
    state = torch.get_rng_state()
    plots.augmentations(few[0].images[:4], {"cutout": Augmentation(cutout=8), "nothing": Augmentation()})
    assert torch.equal(torch.get_rng_state(), state)
    rows = torch.stack([torch.tensor(axis.images[0].get_array()) for axis in figure().axes]).view(3, 4, 28, 28)
    assert torch.equal(rows[0], rows[2])
    assert (rows[1] != rows[0]).any()
