"""The page in a notebook, for the network that was just trained.

The output holds two forms: the page, as HTML in a frame of its own, and a still picture, as PNG, for whatever shows no
HTML. A frame keeps the notebook's styles and keyboard shortcuts out, and all that it needs is written into it. A widget
would need an extension in each front end, which Colab and VS Code fetch from another host, and would leave its state in
the notebook. `mnist-drill render` removes the HTML before a notebook is committed.
"""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

import torch

from mnist_drill.data import from_grey
from mnist_drill.inside import trained
from mnist_drill.inside.network import steps_of, values_of, with_values
from mnist_drill.inside.page import html_of, network_of, page_of
from mnist_drill.inside.still import still

if TYPE_CHECKING:
    from torch import nn

    from mnist_drill.data import LabeledImages

HEIGHT = 820  # pixels of the frame, in which the page scrolls; its corner can be dragged


class Inside:
    """What `inside` returns: a notebook shows it."""

    def __init__(self, page: dict, picture: bytes, words: str):
        self.page, self.picture, self.words = page, picture, words

    def html(self) -> str:
        """The page in a frame."""
        document = html.escape(html_of(self.page), quote=True)
        return (
            f'<iframe class="mnist-drill-inside" title="{html.escape(self.words)}" srcdoc="{document}" '
            f'style="width: 100%; height: {HEIGHT}px; border: 0; resize: vertical; overflow: auto"></iframe>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, str], dict[str, dict]]:
        picture = base64.b64encode(self.picture).decode()
        forms = {"text/html": self.html(), "image/png": picture, "text/plain": repr(self)}
        return forms, {"image/png": {"alt": f"{self!r}. The picture has its feature maps for an image of a digit."}}

    def __repr__(self) -> str:
        return self.words


def inside(model: nn.Module, test_set: LabeledImages | None = None) -> Inside:
    """A network as a page to draw on, which shows every layer at work; in a notebook, the last line of a cell.

    `model` takes images (N, 1, 28, 28) and returns logits (N, 10), in any mode; it is left as it is. With the
    `test_set` the page also has the network's most confident errors on it. Raises `DrillError` for a network that
    cannot be shown, see `network.steps_of`, and for weights that are not finite.
    """
    steps = steps_of(model)
    halved = trained.half(values_of(steps))
    stored = trained.load_images()
    images, examples, errors = stored["images"], stored["examples"], []
    if test_set is not None:
        test_set = test_set.to("cpu")
        examples = trained.first_of_each_class(test_set)
        errors = trained.errors_of(steps, test_set)
        images = {str(position): trained.image_of(test_set, position) for position in {*examples, *errors}}
    else:
        images = {str(position): images[str(position)] for position in examples}
    shown = network_of("network", "This network", steps, [None], errors=errors)
    shown["weights"] = trained.encoded(halved)
    words = f"A network of {shown['parameters']:,} parameters from inside: draw a digit and watch its layers"
    picture = still(with_values(steps, halved), _pixels(images, examples))
    return Inside(page_of([shown], images, examples), picture, words)


def _pixels(images: dict, examples: list[int]) -> torch.Tensor:
    """The last example but two, a 7 where there is one of each class, as (1, 28, 28) in [0, 1]; else no ink."""
    if not examples:
        return torch.zeros(1, 28, 28)
    content = base64.b64decode(images[str(examples[-3 if len(examples) > 2 else 0])]["pixels"])
    return from_grey(torch.frombuffer(bytearray(content), dtype=torch.uint8)).view(1, 28, 28)
