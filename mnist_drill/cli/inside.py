"""The command `inside`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mnist_drill.cli.options import PATH, device_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command("inside")
@click.argument("out", type=PATH, default="build/inside")
@click.option("--train", is_flag=True, help="Train the stages that are missing first, and store them in the package.")
@device_option
def inside_command(out: Path, train: bool, device: str) -> None:
    """Write the page on which one draws a digit and watches the networks' layers into the folder OUT.

    OUT is build/inside if it is not given. The page works from the disk, in any browser, and from any server of files;
    it loads nothing from other hosts. With --train each stage is first trained by its recipe at seed 1 on all 60,000
    images; a stage that is stored already, of the same network, recipe and data, is not trained again, and one that is
    finished is kept when the command is interrupted.
    """
    from mnist_drill.inside import trained
    from mnist_drill.inside.page import write_page
    from mnist_drill.storage.files import ensure_writable

    ensure_writable(out)
    if train:
        from mnist_drill import data
        from mnist_drill.training.devices import pick_device

        pick_device(device)
        ensure_writable(trained.FOLDER)
        names = trained.train_missing(*data.load(), device=device, progress=sys.stdout.isatty())
        click.echo(f"trained {', '.join(names)}" if names else "every stage is trained")
    for path in write_page(out):
        click.echo(f"wrote {path} ({path.stat().st_size:,} bytes)")
