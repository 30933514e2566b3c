"""Commands that show and write parts of the repository, from `render` to `badges`."""

from __future__ import annotations

from pathlib import Path

import click

from mnist_drill.cli.options import FILE_TO_WRITE, PATH, PathType


@click.command("render")
def render_command() -> None:
    """Render the tables of the README and the docs, and the notebooks' times, from the stored runs and figures."""
    from mnist_drill.course import pages

    pages.render()


@click.command("blocks")
@click.argument("files", metavar="[NOTEBOOK]...", type=PATH, nargs=-1)
def blocks_command(files: tuple[Path, ...]) -> None:
    """Print the block that each NOTEBOOK ends in, as it is stored: target, result and analysis, as Markdown.

    Without NOTEBOOK those of the course.
    """
    from mnist_drill.course.blocks import block
    from mnist_drill.course.notebooks import Notebook, every_notebook

    for book in [Notebook(path) for path in files] or every_notebook():
        click.echo(f"## {book.title()}\n\n{block(book)}\n")


@click.command("exercises")
@click.option("--solutions", is_flag=True, help="Execute the solutions first, too: some minutes.")
def exercises_command(solutions: bool) -> None:
    """Make the notebooks of notebooks/exercises from those of notebooks/solutions, and execute them.

    Each cell that is to be written becomes its starting point; remarks on the solution are left out.
    """
    from mnist_drill.course import exercises

    for path in exercises.make(solutions=solutions):
        click.echo(f"wrote {path}")


@click.command("site")
@click.option("--out", "folder", type=PathType(path_type=Path, file_okay=False), default="build/site",
              show_default=True, metavar="FOLDER", help="Folder to write.")  # fmt: skip
@click.option("--serve", is_flag=True, help="Serve it on this machine until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port of --serve.")
def site_command(folder: Path, serve: bool, port: int) -> None:
    """Build the course's site from a clone: the stored notebooks, the pages of docs/ and the API from docstrings.

    Nothing is executed, and every warning is an error. It needs `pip install -e ".[site]"`.
    """
    from mnist_drill.course import site

    site.build(folder)
    click.echo(f"wrote {folder / 'index.html'}")
    if serve:
        with site.serve(folder, port) as server:
            click.echo(f"serving it on http://localhost:{server.server_port} until Ctrl-C")
            server.serve_forever()


@click.command("workbook")
@click.option("--out", "path", type=FILE_TO_WRITE, default="RF_calculations.xlsx", show_default=True, metavar="FILE",
              help="File to write.")  # fmt: skip
def workbook_command(path: Path) -> None:
    """Write the receptive fields of the stages' networks, layer by layer, as a workbook with live formulas.

    One more sheet is there to be edited, for a network of your own.
    """
    from mnist_drill.course.workbook import write_workbook

    write_workbook(path)
    click.echo(f"wrote {path}")


@click.command("badges")
@click.argument("repository", metavar="OWNER/REPO")
def badges_command(repository: str) -> None:
    """Put "Open in Colab" badges for the GitHub repository OWNER/REPO into the README and the notebooks.

    The address is also put into the notebooks' first cells, which install the course in Colab. Run the command again
    to change the address.
    """
    from mnist_drill.course.notebooks import put_badges

    put_badges(repository)
