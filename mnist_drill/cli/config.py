"""The options of a command from a TOML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnist_drill.cli.options import PATH
from mnist_drill.errors import DrillError, unknown
from mnist_drill.storage.files import read_toml

if TYPE_CHECKING:
    from pathlib import Path


def read_config(context: click.Context, option: click.Option, path: Path | None) -> None:
    """Takes the defaults of a command's options from a TOML file with their names."""
    if path is None:
        return
    values = read_toml(path)
    options = {x.name: x for x in context.command.params if isinstance(x, click.Option) and x.name != option.name}
    defaults = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in options:
            raise unknown(f"key in {path},", key, options)
        try:
            # As it would be typed: click takes numbers and truth values for each other, and cuts 2.5 to 2.
            defaults[name] = options[name].type_cast_value(context, str(value))
        except click.BadParameter as error:
            raise DrillError(f"{path}: {key} = {value!r}: {error.message}") from None
    context.default_map = defaults


config_option = click.option(
    "--config", type=PATH, is_eager=True, expose_value=False, callback=read_config, metavar="FILE",
    help="TOML file with these options by name; the command line has precedence.",
)  # fmt: skip
