"""The site: Sphinx reads the pages and the stored notebooks as they lie in a clone, and executes nothing."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import nbformat

from mnist_drill.course.notebooks import ROOT
from mnist_drill.course.tables import RUN_MIME
from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme", "latex2mathml")


def build(folder: Path, root: Path = ROOT) -> None:
    """Builds the site of a clone into `folder`; every warning is an error.

    Raises `DrillError` where `root` is no clone or in `folder`, a package is missing, or Sphinx says what is wrong.
    """
    if not (root / "docs" / "conf.py").exists():
        raise DrillError(f"{root} is no clone of the course: the site is built from one")
    folder = folder.resolve()
    if root.resolve().is_relative_to(folder):
        raise DrillError(f"{folder} holds the clone itself: choose a folder for the site alone")
    missing = [name for name in NEEDS if not find_spec(name)]
    if missing:
        raise DrillError(f"the site needs {', '.join(missing)}: pip install -e '.[site]', with Python 3.11 or later")
    # All pages are written, so that a build which was interrupted leaves none out.
    strict = ["-W", "--keep-going", "--quiet", "--jobs", "auto", "--write-all"]
    doctrees = folder.with_name(f"{folder.name}-doctrees")
    places = ["--doctree-dir", doctrees, "--conf-dir", root / "docs", root, folder]
    if subprocess.run([sys.executable, "-m", "sphinx", *strict, *places]).returncode:
        raise DrillError("the site was not built: each warning above is an error")


def serve(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on this machine; port 0 is any free one. Raises `DrillError` where the port is taken."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        # Windows may have another type for scripts, which a browser would not run as a module.
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012

        def log_message(self, *_: object) -> None:
            pass

    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=folder))
    except OSError as error:
        raise DrillError(f"cannot serve on port {port}: {error.strerror}; choose another --port") from None


def read_notebook(text: str) -> nbformat.NotebookNode:
    """A stored notebook as the site shows it, from its text; myst-nb calls this.

    A collapsed input stays collapsed, a progress bar is what it was at its end, and a figure has an alternative text.
    """
    content = nbformat.reads(text, as_version=4)
    content.metadata.setdefault("language_info", {"name": "python", "pygments_lexer": "ipython3"})
    for cell in content.cells:
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = settled(output.text)
            output.get("data", {}).pop(RUN_MIME, None)
        figures = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        if figures:
            stored = [output.metadata.get("image/png", {}).get("alt", "") for output in figures]  # by `plots.show`
            cell.metadata["mystnb"] = {"image": {"alt": " ".join(stored)}}
    return content


def settled(text: str) -> str:
    """What a terminal shows in the end: a carriage return begins a line again, and a line that was cleared is gone."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        if shown.strip() or "\r" not in line:
            lines.append(shown.rstrip() if "\r" in line else shown)
    return "\n".join(lines)
