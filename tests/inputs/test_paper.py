"""What is left of a photograph without its light, its noise and the paper's lines."""

import numpy as np
import pytest

from mnist_drill.inputs import paper, pictures
from tests.inputs import photographs


def drawing(number):
    return np.random.default_rng([number, 4])


@pytest.fixture(scope="module")
def coverage(few):
    """A digit on a sheet, as coverage with ink."""
    return photographs.sheet_with(photographs.enlarged(few[0].images[2, 0], 240), drawing(0), 60)


@pytest.mark.parametrize("sigma", [0.0, 0.02, 0.08])
def test_noise_is_measured_beside_ink_and_light(coverage, sigma):
    picture = photographs.falling_light(0.9 - 0.6 * coverage, drawing(1), 0.6)
    assert paper.noise_of(photographs.noise(picture, drawing(2), sigma)) == pytest.approx(sigma, abs=0.002, rel=0.05)


@pytest.mark.parametrize(
    "light",
    [
        lambda picture: photographs.falling_light(picture, drawing(3), 0.6),
        lambda picture: photographs.shadow(picture, drawing(4), 0.55),
        lambda picture: photographs.shadow(picture, drawing(5), 0.55),
    ],
    ids=["falling off", "shadow", "another shadow"],
)
def test_the_background_is_the_paper_in_its_light(coverage, light):
    found, outside = paper.background(light(0.9 - 0.6 * coverage))
    expected = light(np.full_like(coverage, 0.9))
    assert not outside.any()
    assert np.quantile(np.abs(found / expected - 1), 0.9) < 0.03


@pytest.mark.parametrize("axes", [(0,), (0, 1)], ids=["ruled", "squared"])
def test_printed_lines_go_and_strokes_that_cross_them_stay(coverage, axes):
    plain = np.full_like(coverage, 0.9)
    lined = photographs.lines(plain, drawing(6), axes)
    ink = paper.ink_on_paper(lined * (1 - coverage) + 0.25 * coverage)
    beside = (coverage == 0) & (lined != plain)
    assert (ink[beside] < 0.2).mean() > 0.98
    assert ink[(coverage > 0.9) & (lined != plain)].min() > 0.8


def test_ink_is_found_dark_on_light_and_light_on_dark(coverage):
    for picture in (0.9 - 0.6 * coverage, 0.1 + 0.6 * coverage):
        assert np.corrcoef(paper.ink_on_paper(picture).ravel(), coverage.ravel())[0, 1] > 0.98


def test_beyond_an_edge_of_the_paper_lies_no_paper():
    picture = np.full((400, 400), 0.9, np.float32)
    picture[:, :25] = 0.2
    _, outside = paper.background(picture)
    assert outside[:, :20].all()
    assert not outside[:, 45:].any()


@pytest.mark.parametrize("kind", photographs.PAGES)
def test_an_empty_page_has_no_ink(kind):
    number = photographs.PAGES.index(kind)
    with pytest.raises(pictures.NoDigit, match="only paper"):
        paper.ink_on_paper(photographs.page(number, None).clip(0, 1).astype(np.float32))
