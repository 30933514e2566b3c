"""The page: one ES module, without dependencies, with what it shows as JSON, and as files in a folder.

The module exports `render({model, el})`, as anywidget calls it; `model.get("page")` is what `page_of` makes. A page
that is opened from a disk may import no module and fetch no file, so index.html holds the module, and the weights of
each stage lie beside it as scripts, which are loaded when the stage is chosen.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_drill.course.notebooks import notebooks
from mnist_drill.data import MEAN, STD
from mnist_drill.errors import DrillError
from mnist_drill.inside import trained
from mnist_drill.stages import STAGES
from mnist_drill.storage.files import ensure_writable, read_text, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnist_drill.inside.network import Step

FOLDER = Path(__file__).parent
MARK = "mnistDrillWeights"  # which every page has, and a page of something else has not
# Each imports from earlier ones only.
MODULES = ("network.js", "preprocess.js", "pad.js", "pictures.js", "elements.js", "layers.js", "weights.js",
           "decision.js", "strips.js", "inside.js")  # fmt: skip


def module() -> str:
    """The ES module as one text, whose only export is `render`: its files one after another."""
    parts = []
    for name in MODULES:
        text = re.sub(r"^import [^;]*;\n", "", read_text(FOLDER / name), flags=re.M)
        parts.append(re.sub(r"^export (?!function render\b)", "", text, flags=re.M))
    return "\n".join(parts)


def network_of(name: str, title: str, steps: Sequence[Step], accuracies: Sequence[float | None], **more) -> dict:
    """What the page is told of a network: its steps, and the test accuracy after each epoch; `more` is added."""
    return {
        "name": name,
        "title": title,
        "parameters": sum(step.layer.parameters + step.layer.norm_parameters for step in steps),
        "steps": [step.described() for step in steps],
        "epochs": [{"accuracy": accuracy} for accuracy in accuracies],
        **more,
    }


def page_of(networks: Sequence[dict], images: dict, examples: Sequence[int]) -> dict:
    """All that the page shows; the last network is shown first. `images` are by position, of the test set."""
    return {
        "mean": MEAN, "std": STD, "networks": list(networks), "start": networks[-1]["name"],
        "images": images, "examples": list(examples),
    }  # fmt: skip


def html_of(page: dict, head: str = "") -> str:
    """The page as one HTML document; `head` stands at its top."""
    text = read_text(FOLDER / "index.html")
    values = json.dumps(page, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "/* style */": read_text(FOLDER / "inside.css"), "<!-- head -->": head, "/* page */": values,
        "/* module */": module(),
    }  # fmt: skip
    for mark, part in parts.items():
        text = text.replace(mark, part, 1)
    return text


def title_of(name: str) -> str:
    """A stage's title: that of its notebook or, where there are no notebooks, one made from the notebook's name."""
    for stage, book in zip(STAGES.values(), notebooks(), strict=True):
        if stage.name == name and book.path.exists():
            return book.title()
    number, words = STAGES[name].notebook.split("_", 1)
    return f"{int(number)} · {words.replace('_', ' ').capitalize()}"


def write_page(folder: Path, links: Mapping[str, str] | None = None, stored: Path = trained.FOLDER) -> list[Path]:
    """Writes the page into `folder`, which is made where it is missing, and returns its files: index.html and, for
    each trained stage in `stored`, a script with its weights.

    `links` are texts with their addresses, for the top of the page. Raises `DrillError` for a folder that cannot be
    written, and where no stage is stored.
    """
    folder, names = Path(folder), trained.names(stored)
    if not names:
        raise DrillError(f"{stored} holds no trained stage: `inside --train` makes them")
    ensure_writable(folder)
    index = folder / "index.html"
    if index.exists() and MARK not in index.read_text(encoding="utf-8", errors="replace"):
        raise DrillError(f"{index} is another page, and would be written over: choose another folder")
    content = trained.load_images(stored)
    networks, written = [], []
    for name in names:
        run, steps, epochs = trained.load(name, stored)
        weights = json.dumps(trained.encoded(epochs))
        written.append(folder / f"{name}.js")
        write_atomically(written[-1], f"(globalThis.{MARK} ??= {{}})[{json.dumps(name)}] = {weights};\n")
        accuracies = [row.test_accuracy for row in run.epochs]
        errors = content["errors"].get(name, [])
        networks.append(network_of(name, title_of(name), steps, accuracies, errors=errors, source=f"{name}.js"))
    page = page_of(networks, content["images"], content["examples"])
    written.insert(0, index)
    write_atomically(written[0], html_of(page, _head(networks[-1], links or {})))
    return written


def _head(network: dict, links: Mapping[str, str]) -> str:
    anchors = " · ".join(f'<a href="{html.escape(to)}">{html.escape(text)}</a>' for text, to in links.items())
    return "\n".join(
        [
            f'<nav class="links" aria-label="Site">{anchors}</nav>' if anchors else "",
            "<h1>Draw a digit and watch the network</h1>",
            f'<p class="lead">A network with <b>{network["parameters"]:,} parameters</b> classifies handwritten '
            "digits. Draw one: your browser runs the network at every stroke, and every picture on this page is one of "
            "its layers at work. Nothing that you draw leaves your device.</p>",
        ]
    )
