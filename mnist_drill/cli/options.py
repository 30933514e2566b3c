"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnist_drill.errors import DrillError
from mnist_drill.recipes import LARGEST, RANGES
from mnist_drill.training import LARGEST_SEED

if TYPE_CHECKING:
    from collections.abc import Iterable

DEVICES = ("auto", "cpu", "cuda", "mps")


class PathType(click.Path):
    """A path that is not empty: Python takes an empty one, such as an unset variable of a shell, for this folder."""

    def convert(self, value, parameter, context):
        if value == "":
            self.fail("the path is empty: name a file or a folder", parameter, context)
        if "\0" in str(value):
            self.fail("no path has a null character in it", parameter, context)
        return super().convert(value, parameter, context)


PATH = PathType(path_type=Path)
FILE_TO_WRITE = PathType(path_type=Path, dir_okay=False)

device_option = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="auto is a GPU if there is one."
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=1, show_default=True,
    help="Random seed of the weights and the training.",
)  # fmt: skip
network_option = click.option("--network", metavar="NAME", help="The network's name, where FILE holds weights alone.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def range_of(setting: str, whole: bool = False) -> click.FloatRange | click.IntRange:
    """The range of a recipe's setting, as the type of an option; of whole numbers alone if `whole`."""
    low, high, low_open, high_open = RANGES[setting]
    kind = click.IntRange if whole else click.FloatRange
    return kind(low, None if high == LARGEST else high, low_open, high_open)


def epochs_option(whose: str):
    """The number of epochs, in place of that of `whose` recipe."""
    return click.option(
        "--epochs", type=range_of("epochs", whole=True), help=f"Number of epochs, instead of {whose} recipe's."
    )


def file_argument(name: str, **options):
    """An argument that is a path, or with `nargs` -1 at least one."""
    return click.argument(name, type=PATH, required=True, **options)


def refuse_inputs(out: Path, inputs: Iterable[Path]) -> None:
    """Raises `DrillError` where the file to write is one of those that were read, which would be lost."""
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise DrillError(f"{out} is read by this command, and would be written over: name another file to write")
