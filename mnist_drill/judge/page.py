"""A report as one HTML file that needs nothing else: rules, figures, curves, errors and layers."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import jinja2

from mnist_drill.judge.card import MARKS, figures
from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_drill.judge.report import Error, Report

# Whatever a submission says is text: autoescape keeps it from being markup.
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mnist_drill.judge", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
)


def write_page(path: Path, report: Report) -> None:
    """Writes the report as a page, whole or not at all."""
    write_atomically(path, page(report))


def page(report: Report) -> str:
    """The page as text."""
    template = TEMPLATES.get_template("report.html")
    return template.render(
        report=report, marks=MARKS, figures=figures(report), curves=_curves(report),
        errors=[(error, _picture(error)) for error in report.errors],
    )  # fmt: skip


def _curves(report: Report) -> str:
    """Accuracy by epoch, a line for each run, as SVG; empty without runs."""
    if not report.runs:
        return ""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, split in zip(axes, ("validation", "test"), strict=True):
        for run in (run for run in report.runs if run.evaluated_on == split):
            epochs = [row.epoch for row in run.epochs]
            axis.plot(
                epochs, [row.test_accuracy for row in run.epochs], marker="o", markersize=3, label=f"seed {run.seed}"
            )
        axis.axhline(report.rules.accuracy, color="#9aa0a6", linestyle="--", label=f"{report.rules.accuracy:g} %")
        axis.set(title=f"{split} accuracy", xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set_ylabel("%")
    content = io.StringIO()
    figure.savefig(content, format="svg")
    return content.getvalue()[content.getvalue().index("<svg") :]


def _picture(error: Error) -> str:
    """The image as a data URI, black on white."""
    from PIL import Image

    content = io.BytesIO()
    Image.frombytes("L", (28, 28), bytes(255 - value for value in bytes.fromhex(error.pixels))).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
