"""The page in a notebook: what `inside` returns, and what of it is committed."""

import base64
import html
import io
import re

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnist_drill.course.notebooks import without_pages
from mnist_drill.errors import DrillError
from mnist_drill.inside import trained
from mnist_drill.inside.network import steps_of, values_of
from mnist_drill.inside.notebook import inside
from mnist_drill.models import build


def bundle(shown):
    forms, metadata = shown._repr_mimebundle_()
    assert repr(shown) in metadata["image/png"]["alt"]
    return forms


def picture(shown):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle(shown)["image/png"]))).convert("L"))


def test_it_shows_the_network_that_it_is_given():
    model = build("stage4", 3)
    shown = inside(model)
    (network,) = shown.page["networks"]
    assert network["parameters"] == 9_904
    assert network["weights"] == trained.encoded(values_of(steps_of(model)).half())
    assert shown.page["examples"]
    assert repr(shown) == bundle(shown)["text/plain"]
    assert "9,904 parameters" in repr(shown)


def test_the_page_is_one_frame_with_all_that_it_needs():
    text = bundle(inside(build("stage2", 1)))["text/html"]
    assert re.fullmatch(r'<iframe [^>]*srcdoc="[^"]*"[^>]*></iframe>', text)
    document = html.unescape(re.search(r'srcdoc="([^"]*)"', text)[1])
    assert document.startswith("<!doctype html>")
    assert not re.search(r"\b(src|href)=", document.split("<script")[0])
    assert re.search(r'title="[^"]{20,}"', text)


def test_with_the_test_set_it_has_the_errors_of_this_network(few):
    shown = inside(build("stage4", 1), few[1])
    (network,) = shown.page["networks"]
    assert len(network["errors"]) == trained.ERRORS
    for position in network["errors"]:
        assert shown.page["images"][str(position)] == trained.image_of(few[1], position)


def test_the_picture_is_of_the_network_and_not_blank():
    one, other = picture(inside(build("stage4", 1))), picture(inside(build("stage4", 2)))
    assert one.shape == other.shape
    assert (one != other).mean() > 0.01
    assert one.std() > 10


def test_a_network_that_cannot_be_shown_is_one_line():
    with pytest.raises(DrillError, match="layer 1 is a Linear"):
        inside(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    diverged = build("stage2", 1)
    with torch.no_grad():
        diverged[0][0].weight.fill_(float("nan"))
    with pytest.raises(DrillError, match="not finite"):
        inside(diverged)


def test_what_is_committed_is_the_picture_alone():
    shown = bundle(inside(build("stage2", 1)))
    table = {"text/html": "<table></table>", "text/plain": "a table"}
    output = nbformat.v4.new_output
    cells = [
        nbformat.v4.new_markdown_cell("text"),
        nbformat.v4.new_code_cell(
            "inside(model)",
            outputs=[output("execute_result", shown, execution_count=1), output("display_data", table)],
        ),
        nbformat.v4.new_code_cell("print(1)", outputs=[output("stream", text="1\n")]),
    ]
    kept = without_pages(nbformat.v4.new_notebook(cells=cells))
    first, second = kept.cells[1].outputs
    assert set(first.data) == {"image/png", "text/plain"}
    assert second.data == table
    assert "iframe" not in nbformat.writes(kept)
    assert kept.cells[2].outputs[0].text == "1\n"
