"""The command, `mnist-drill` or `python -m mnist_drill`; a module for each group of its commands.

A module is imported when one of its commands is called, and imports what takes long within the command's function: help
and usage errors load neither torch nor matplotlib.
"""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import click

from mnist_drill import __version__
from mnist_drill.errors import DrillError, Interrupted, unknown

# Each group's commands, as `--help` lists them: a command's module in this folder and its line in the list. Its
# function there is NAME_command.
GROUPS = {
    "Train and use networks": {
        "train": ("training", "Train a network; write its weights and its run."),
        "models": ("networks", "List the networks and their numbers of parameters."),
        "evaluate": ("networks", "Evaluate a checkpoint: test accuracy and confusion matrix."),
        "predict": ("networks", "Classify images of digits."),
        "ensemble": ("networks", "Evaluate a majority-vote ensemble of checkpoints."),
        "export": ("networks", "Write a checkpoint in another format, to share it."),
        "submit": ("networks", "Write an entry to Kaggle's Digit Recognizer competition."),
    },
    "Compare networks": {
        "study": ("study", "Train networks and recipes of your own; compare them."),
        "compare": ("studies", "Train networks and tabulate accuracy and cost."),
        "transfer": ("studies", "Train a pretrained network with few labels."),
        "bench": ("studies", "Measure speed against the usual pipeline."),
    },
    "Judge networks, your own or a class's": {
        "judge": ("judge", "Judge the network in a file, or those in a folder, by rules."),
        "leaderboard": ("leaderboard", "Rank judged networks; add one, judge one again."),
    },
    "Read the course": {
        "inside": ("inside", "Write the page that shows the networks at work."),
        "blocks": ("course", "Print the notebooks' targets, results and analyses."),
        "workbook": ("course", "Write the workbook of receptive fields."),
        "site": ("course", "Build the course's site; serve it on this machine."),
    },
    "For maintainers of the course": {
        "evidence": ("studies", "Train the missing runs of the course's own studies."),
        "render": ("course", "Render the tables of README, docs and notebooks."),
        "exercises": ("course", "Make the exercises from their solutions."),
        "badges": ("course", "Put Open in Colab badges into README and notebooks."),
    },
}
COMMANDS = {name: entry for commands in GROUPS.values() for name, entry in commands.items()}


class LazyGroup(click.Group):
    """A group of commands that lists `GROUPS` without importing what is in them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f"{__name__}.{COMMANDS[name][0]}"), f"{name}_command")

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise unknown("command", name, COMMANDS)
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))  # of the names, so that all groups have the same columns
        for group, commands in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in commands.items()])

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("For a first look, one epoch of the final network"):
            for example in ("train stage4 --epochs 1", "evaluate runs/stage4.pt"):
                formatter.write_text(f"{context.command_path} {example}")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="MNIST Drill %(version)s")
def cli() -> None:
    """Train, evaluate and compare the networks of the MNIST Drill, which `models` lists."""


def main() -> None:
    """Runs the command; an error that the user can fix is one line and exit status 2."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_text:
        click.echo(help_text.format_message())
        sys.exit(2)
    except (DrillError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _fail(message)
    except Interrupted as error:
        click.echo(f"Interrupted: {error}", err=True)
        sys.exit(130)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except getattr(sys.modules.get("torch"), "OutOfMemoryError", ()):  # whoever raises it has imported torch
        _fail("the GPU's memory is full: choose --device cpu or, where networks are trained, smaller batches")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _fail("no space is left where output is written to: free some")
        if error.filename is None:
            raise
        _fail(f"cannot use {error.filename}: {error.strerror}; name another file or folder, or change who may use it")


def _fail(message: str) -> None:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(2)
