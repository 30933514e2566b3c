"""Commands that write parts of the repository: `render`, `workbook` and `badges`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnist_drill.cli.options import FILE_TO_WRITE

if TYPE_CHECKING:
    from pathlib import Path


@click.command("render")
def render_command() -> None:
    """Render the tables of the README and the docs, and the notebooks' times, from the stored runs and figures."""
    from mnist_drill.course import pages

    pages.render()


@click.command("workbook")
@click.option("--out", "path", type=FILE_TO_WRITE, default="RF_calculations.xlsx", show_default=True, metavar="FILE",
              help="File to write.")  # fmt: skip
def workbook_command(path: Path) -> None:
    """Write the receptive fields of all networks, layer by layer, as a workbook with live formulas."""
    from mnist_drill.course.workbook import write_workbook

    write_workbook(path)
    click.echo(f"wrote {path}")


@click.command("badges")
@click.argument("repository", metavar="OWNER/REPO")
def badges_command(repository: str) -> None:
    """Put "Open in Colab" badges for the GitHub repository OWNER/REPO into the README and the notebooks.

    The address is also put into the notebooks' first cells, which clone the course in Colab. Run the command again
    to change the address.
    """
    from mnist_drill.course.notebooks import put_badges

    put_badges(repository)
