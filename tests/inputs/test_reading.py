"""Digits found in photographs of them, and pages refused that show none."""

import numpy as np
import pytest
import torch
from torch import nn

from mnist_drill.course import photographs as figures
from mnist_drill.inputs import paper, pictures, reading, segments
from mnist_drill.inside import trained
from mnist_drill.inside.network import outputs_of, with_values
from mnist_drill.models import build
from tests.inputs import judged, photographs


def images_in(grey):
    """What a network is given of a picture: shape (N, 28, 28)."""
    try:
        found = segments.pieces(paper.ink_on_paper(grey.astype(np.float32) / 255))
    except pictures.NoDigit:
        return []
    return [pictures.preprocess(torch.from_numpy(reading.widened(x, reading.measured(x))))[0] for x in found]


def likeness(one, other):
    """The correlation of two images, one of them moved by up to a pixel."""
    moved = [np.roll(one, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(np.corrcoef(x.flatten(), other.flatten())[0, 1] for x in moved)


@pytest.mark.parametrize("kind", photographs.KINDS)
def test_of_a_photograph_the_network_is_given_almost_mnists_image(few, kind):
    least = 0.6 if kind == "thin pen" or kind.startswith("rotation") else 0.9
    for number, digit in enumerate(few[0].images[2:5, 0], 2):
        (image,) = images_in(photographs.photograph(digit, kind, number))
        assert likeness(image, pictures.preprocess(digit)[0]) > least, number


def test_digits_in_a_row_are_found_from_left_to_right(few):
    digits = few[0].images[:8, 0]
    found = images_in(photographs.grey(photographs.row_of(digits, np.random.default_rng(5))))
    assert len(found) == 8
    assert min(likeness(a, pictures.preprocess(b)[0]) for a, b in zip(found, digits, strict=True)) > 0.85


def test_several_rows_are_in_the_order_of_reading():
    ink = np.zeros((300, 300), np.float32)
    corners = [(20, 30), (35, 120), (10, 220), (160, 40), (150, 200)]
    for top, left in corners:
        ink[top : top + 60, left : left + 20] = 1
    assert [(x.box[0].start, x.box[1].start) for x in segments.pieces(ink)] == corners


def test_boxes_are_those_of_the_digits_in_a_picture_of_any_size(few):
    sheet = np.zeros((1500, 2000), np.float32)
    sheet[300:900, 1100:1700] = photographs.enlarged(few[0].images[0, 0], 600)
    rows, columns = (np.nonzero((sheet > 0.4).any(axis=1 - axis))[0] for axis in (0, 1))
    (found,) = reading.read(build("stage2", 1), torch.from_numpy(0.9 - 0.6 * sheet))
    assert np.abs(np.subtract(found.box, (columns[0], rows[0], columns[-1], rows[-1]))).max() <= 8
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-4)


def test_a_digit_may_fill_a_picture_and_what_lies_along_its_border_is_none(few):
    digit = pictures.preprocess(few[0].images[0, 0])[0].numpy()
    inked = np.nonzero(digit > 0.5)
    cropped = digit[inked[0].min() : inked[0].max() + 1, inked[1].min() : inked[1].max() + 1]
    (image,) = images_in(photographs.grey(1 - 0.7 * np.kron(cropped, np.ones((9, 9)))))
    assert likeness(image, digit) > 0.8
    ink = np.zeros((400, 400), np.float32)
    ink[:, :30] = 1
    with pytest.raises(pictures.NoDigit, match="along its border"):
        segments.pieces(ink)
    ink[100:300, 150:350] = np.kron(digit[4:24, 4:24], np.ones((10, 10)))
    (piece,) = segments.pieces(ink)
    assert piece.box[1].start >= 150


@pytest.mark.parametrize("scribble", ["zigzag", "blobs", "scrawl", "cross"])
def test_scribbles_are_not_shaped_like_digits(scribble):
    shapes = []
    for number in range(0, 27, 9):  # on plain paper
        found = segments.pieces(paper.ink_on_paper(photographs.page(number, scribble).astype(np.float32)))
        shapes.append(all(reading.measured(x).may_be_a_digit() for x in found))
    assert sum(shapes) <= 1


def test_mnists_images_are_shaped_like_digits(few):
    digits = [photographs.photograph(digit, "plain", i) for i, digit in enumerate(few[0].images[:8, 0])]
    found = [x for grey in digits for x in segments.pieces(paper.ink_on_paper(grey.astype(np.float32) / 255))]
    assert all(reading.measured(x).may_be_a_digit() for x in found)


def test_a_texture_is_no_page_of_thousands_of_digits():
    spots = np.kron(np.random.default_rng(1).random((80, 80)) < 0.12, np.ones((8, 8)))
    spots[::16] = spots[:, ::16] = 0
    with pytest.raises(pictures.NoDigit, match="pieces of ink"):
        segments.pieces(spots.astype(np.float32))


@pytest.mark.parametrize("side", [40, 300])
def test_a_picture_without_a_digit_has_none_and_a_fault_in_the_code_is_not_taken_for_one(side, monkeypatch):
    empty, model = torch.full((side, side), 0.9), build("stage2", 1)
    assert reading.read(model, empty) == []

    def at_fault(ink):
        raise ValueError("operands could not be broadcast together")

    empty[side // 4 : side // 2, side // 2 - 2 : side // 2 + 2] = 0.1
    monkeypatch.setattr(reading, "pieces", at_fault)
    with pytest.raises(ValueError, match="broadcast"):
        reading.read(model, empty)


def test_what_is_stored_is_what_was_asked_for():
    kinds = figures.load()["kinds"]
    assert set(kinds) == {*photographs.KINDS, "row", "empty", *photographs.SCRIBBLES}
    share = {kind: counts["now"] / counts["of"] for kind, counts in kinds.items()}
    assert all(counts["of"] == 200 for counts in kinds.values())
    assert min(share[kind] for kind in photographs.KINDS) >= 0.95
    assert share["row"] >= 0.9
    assert share["empty"] >= 0.9
    assert np.mean([share[kind] for kind in photographs.SCRIBBLES]) >= 0.9
    for kind in ("plain", "plain, light on dark"):
        assert kinds[kind]["now"] >= kinds[kind]["before"] - 1  # a picture


class StoredStage4(nn.Module):
    """Stage 4 with the weights that the package ships."""

    def __init__(self):
        super().__init__()
        _, steps, epochs = trained.load("stage4")
        self.steps = with_values(steps, epochs[-1])
        self.place = nn.Parameter(torch.empty(0))  # where it computes

    def forward(self, images):
        return outputs_of(self.steps, images)[-1].flatten(1)


@pytest.mark.slow
def test_photographs_are_classified_and_pages_without_a_digit_are_refused(mnist):
    classifier, count = StoredStage4(), 16
    right = {kind: judged.judged(classifier, kind, mnist[1], count)["now"] for kind in photographs.KINDS}
    assert min(right.values()) >= count - 3, right
    assert sum(right.values()) >= 0.93 * count * len(right), right
    assert judged.judged(classifier, "row", mnist[1], 10)["now"] >= 6
    refused = {kind: judged.judged(classifier, kind, mnist[1], 9)["now"] for kind in photographs.SCRIBBLES}
    assert sum(refused.values()) >= 0.65 * 9 * len(refused), refused
