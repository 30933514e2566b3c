import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mnist_drill.data import LabeledImages
from mnist_drill.errors import DrillError
from mnist_drill.inputs import pictures
from mnist_drill.models import build
from mnist_drill.recipes import SPRINT
from mnist_drill.train import evaluate, fit


def canvas(digit, side, scale, seed, dark=False):
    """Grey values of shape (side, side): an image of shape (28, 28), enlarged and moved on an even background."""
    draw = np.random.default_rng(seed)
    size = round(28 * scale)
    big = F.interpolate(digit[None, None], (size, size), mode="bicubic", antialias=True)[0, 0].clamp(0, 1).numpy()
    image = np.zeros((side, side), np.float32)
    top, left = draw.integers(0, side - size + 1, 2)
    image[top : top + size, left : left + size] = big
    return np.round(255 * (1 - image if dark else image)).astype(np.uint8)


def saved(path, grey, kind):
    if kind == "16-bit":
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    elif kind == "alpha":  # black ink on nothing
        nothing = np.zeros_like(grey)
        Image.fromarray(np.stack([nothing, nothing, nothing, grey], axis=2), "RGBA").save(path)
    elif kind == "colour":  # yellow on blue
        share = grey[..., None] / 255
        mixed = share * np.array([250, 220, 60]) + (1 - share) * np.array([20, 30, 120])
        Image.fromarray(mixed.astype(np.uint8)).save(path)
    else:
        Image.fromarray(grey).save(path)
    return path


def preprocessed(path):
    return pictures.preprocess(pictures.ink(pictures.read(path)))


@pytest.fixture(scope="module")
def classifier(mnist):
    """A network after one short epoch, the first 1,000 test images, and its accuracy on them."""
    train_set, test_set = mnist
    model = build("sprint", 1)
    options = {"name": "sprint", "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None}
    fit(model, SPRINT.with_epochs(1), train_set, test_set[:1000], **options)
    return model, test_set[:1000], evaluate(model, test_set[:1000]).accuracy


@pytest.mark.parametrize(
    ("kind", "side", "scale", "dark"),
    [
        ("grey", 28, 1, False),
        ("grey", 64, 2, True),
        ("16-bit", 120, 3.5, False),
        ("alpha", 180, 5, False),
        ("colour", 240, 8, False),
        ("jpeg", 100, 2.7, True),
    ],
)
def test_enlarged_and_moved_digits_are_classified_as_well_as_mnists(classifier, tmp_path, kind, side, scale, dark):
    model, dataset, accuracy = classifier
    path = tmp_path / ("x.jpg" if kind == "jpeg" else "x.png")
    images = torch.stack(
        [
            preprocessed(saved(path, canvas(image[0], side, scale, seed, dark), kind))
            for seed, image in enumerate(dataset.images)
        ]
    )
    assert images.shape == dataset.images.shape
    assert abs(evaluate(model, LabeledImages(images, dataset.labels)).accuracy - accuracy) <= 1


def test_most_of_mnists_own_digits_come_back_as_they_are(mnist):
    # Not all: some have a faint edge, or lie a pixel off.
    changed = [(pictures.preprocess(pictures.ink(x[0])) - x).abs().max() > 0.05 for x in mnist[1].images[:200]]
    assert sum(changed) < 100


def test_what_is_of_one_tone_has_no_ink():
    with pytest.raises(pictures.NoDigit, match="one tone"):
        pictures.ink(torch.full((30, 30), 0.8))


def test_what_is_no_picture_is_an_error(tmp_path):
    (tmp_path / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "text.png").write_text("not a picture")
    whole = saved(tmp_path / "cut.png", canvas(torch.rand(28, 28), 90, 2, 1), "grey").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("drawing", "not a picture"),
        ("text", "not a picture"),
        ("cut", "cannot read"),
        ("no", "No such"),
    ):
        with pytest.raises(DrillError, match=message) as caught:
            pictures.read(tmp_path / f"{name}.png")
        assert f"{name}.png" in str(caught.value)


def test_folders_are_searched_in_order(tmp_path):
    for name in ("b.PNG", "a.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures.find([tmp_path, tmp_path / "x.bmp"])] == ["a.jpeg", "b.PNG", "x.bmp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DrillError, match="has no picture"):
        pictures.find([tmp_path / "empty"])
