"""The command `leaderboard`: the rankings, a new entry, and judging an entry again before it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnist_drill.cli.options import PATH, file_argument

if TYPE_CHECKING:
    from pathlib import Path

folder_option = click.option("--folder", type=PATH, help="Another leaderboard's folder.  [default: the clone's]")
rules_option = click.option("--rules", "rules_name", default="drill", show_default=True, metavar="NAME | FILE.toml",
                            help="The rules of another leaderboard.")  # fmt: skip
jobs_option = click.option("--jobs", type=click.IntRange(min=1), help="Number of parallel trainings.  "
                           "[default: the cores]")  # fmt: skip


@click.group("leaderboard")
def leaderboard_command() -> None:
    """The networks that were judged in full: a ranking by accuracy, by parameters, by epochs and by time.

    An entry is the judge's report, NAME.json, beside the file that was judged, NAME.py. `mnist-drill render` writes the
    rankings to docs/leaderboard.md.
    """


@leaderboard_command.command("show")
@folder_option
@rules_option
def show_command(folder: Path | None, rules_name: str) -> None:
    """Print the rankings."""
    from mnist_drill.judge.rules import read_rules
    from mnist_drill.leaderboard.entries import entries, leaderboard
    from mnist_drill.leaderboard.rankings import rankings

    rules = read_rules(rules_name)
    for question, table in rankings(entries(folder or leaderboard(), rules), rules=rules).items():
        click.echo(f"{question}\n\n{table or 'no network yet'}\n")


@leaderboard_command.command("add")
@file_argument("files", nargs=-1, metavar="FILE...")
@folder_option
@rules_option
@jobs_option
def add_command(files: tuple[Path, ...], folder: Path | None, rules_name: str, jobs: int | None) -> None:
    """Judge each FILE in full, and make it an entry of the leaderboard.

    What is an entry already is not judged again: an interrupted command goes on at the network where it stopped. The
    exit status is 1 where one of them cannot be an entry.
    """
    from mnist_drill.cli.judge import tell_epoch
    from mnist_drill.judge.rules import read_rules
    from mnist_drill.leaderboard.adding import add
    from mnist_drill.leaderboard.entries import leaderboard

    rules = read_rules(rules_name)
    added = add(files, folder or leaderboard(), rules, jobs=jobs, tell=click.echo, on_epoch=tell_epoch)
    raise SystemExit(0 if added else 1)


@leaderboard_command.command("check", short_help="Judge an entry again, and compare with what it reports.")
@click.argument("target", type=PATH, metavar="FILE | FOLDER")
@folder_option
@rules_option
@jobs_option
@click.option("--out", type=PATH, default="runs/leaderboard", show_default=True,
              help="Folder to write the reports of judging again to.")  # fmt: skip
def check_command(target: Path, folder: Path | None, rules_name: str, jobs: int | None, out: Path) -> None:
    """Judge an entry again in full, at seeds of its own, and compare the figures with the reported ones.

    FILE is NAME.json or NAME.py. Of a FOLDER, each entry is judged that is not in the leaderboard as it is. The exit
    status is 0 where all are accepted, 1 where one is not, and 2 for what cannot be read as an entry.
    """
    from mnist_drill.cli.judge import tell_epoch
    from mnist_drill.judge.judging import zygote
    from mnist_drill.judge.page import write_page
    from mnist_drill.judge.rules import read_rules
    from mnist_drill.leaderboard.checking import check, unknown_entries
    from mnist_drill.leaderboard.entries import leaderboard, read_entry
    from mnist_drill.storage.files import ensure_writable

    rules = read_rules(rules_name)
    found = unknown_entries(target, folder or leaderboard(), rules) if target.is_dir() else [read_entry(target, rules)]
    if not found:
        click.echo(f"{target} has no entry that the leaderboard does not have")
        return
    ensure_writable(out)
    accepted = True
    with zygote() as processes:
        for entry in found:
            checked = check(entry, rules, jobs=jobs, on_epoch=tell_epoch, processes=processes)
            checked.own.save(out / f"{entry.name}.json")
            write_page(out / f"{entry.name}.html", checked.own)
            click.echo(f"{checked.table()}\n\n{checked.verdict}\n")
            accepted &= checked.accepted
    raise SystemExit(0 if accepted else 1)
