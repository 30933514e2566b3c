"""The command `judge`: a network of one's own, or a folder of them, by the rules of the drill."""

from __future__ import annotations

from pathlib import Path

import click

from mnist_drill.cli.options import PATH, PathType
from mnist_drill.errors import DrillError
from mnist_drill.judge.rules import LARGEST_DRAWN_SEED, MOST_SEEDS


@click.command("judge")
@click.argument("target", type=PathType(), metavar="FILE[:NAME] | FOLDER")
@click.option("--rules", "rules_name", default="drill", show_default=True, metavar="NAME | FILE.toml",
              help="drill (fewer than 10,000 parameters, 15 epochs), classic (20,000 and 20), "
              "or a TOML file of rules.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), help="Number of seeds, instead of the rules'.")
@click.option("--first-seed", type=click.IntRange(0, LARGEST_DRAWN_SEED), metavar="N",
              help="Seeds N, N + 1, … to repeat a judgement.  [default: drawn anew]")  # fmt: skip
@click.option("--quick", is_flag=True, help="Judge everything but the training, in seconds.")
@click.option("--jobs", type=click.IntRange(min=1),
              help="Number of parallel trainings or, of a folder, submissions.  [default: the cores]")  # fmt: skip
@click.option("--out", type=PATH, default="runs/judge", show_default=True, metavar="FOLDER", help="Folder to write to.")
def judge_command(
    target: str, rules_name: str, seeds: int | None, first_seed: int | None, quick: bool, jobs: int | None, out: Path
) -> None:
    """Judge the network that a Python file makes, or that of each file in a folder.

    The network is examined: parameters, shapes, what it is made of, where its weights come from. Then it is trained by
    its recipe, twice at each seed: on 50,000 images for the validation set, and on all 60,000 for the test set. At the
    rules' three seeds that is six trainings. This process, which has the labels, evaluates. Writes OUT/NAME.json and
    OUT/NAME.html; of a folder OUT/index.html, OUT/class.csv and the reports in OUT/reports/. Exit status 0: passed,
    1: failed, 2: could not be judged. The file is executed in a limited process, which is no sandbox: see
    docs/judge.md.
    """
    from mnist_drill.judge.rules import read_rules, with_seeds

    rules = with_seeds(read_rules(rules_name), seeds)
    if Path(target).is_dir():
        if first_seed is not None:
            raise DrillError("--first-seed is for one file: a class has its seeds in OUT/class.json")
        from mnist_drill.judge.classroom import judge_folder

        rows = judge_folder(Path(target), out, rules, quick=quick, jobs=jobs, tell=click.echo)
        raise SystemExit(max((row.exit_status for row in rows), default=0))
    _judge_file(target, rules, quick, first_seed, jobs, out)


def _judge_file(target: str, rules, quick: bool, first_seed: int | None, jobs: int | None, out: Path) -> None:
    from mnist_drill.judge.judging import judge, zygote
    from mnist_drill.judge.submission import read_submission
    from mnist_drill.storage.files import ensure_writable

    path, name = _parted(target)
    submission = read_submission(path, name)
    ensure_writable(out)
    with zygote() as processes:
        from mnist_drill.judge.card import card
        from mnist_drill.judge.page import write_page

        report = judge(submission, rules=rules, quick=quick, first_seed=first_seed, jobs=jobs, on_epoch=tell_epoch,
                       processes=processes)  # fmt: skip
    stored = out / f"{report.name}.json"
    if report.may_replace(stored):
        report.save(stored)
        write_page(stored.with_suffix(".html"), report)
        outcome = f"wrote {stored} and {stored.with_suffix('.html')}"
    else:
        outcome = f"kept {stored}, which has finished trainings; this judgement has none: --out names another folder"
    click.echo(f"{card(report)}\n\n{outcome}")
    raise SystemExit(report.exit_status)


def tell_epoch(task, row) -> None:
    """Says on stderr what an epoch of a training came to."""
    from mnist_drill.judge.card import epoch_line

    click.echo(epoch_line(task, row), err=True)


def _parted(target: str) -> tuple[Path, str]:
    """FILE:NAME as a path and a name."""
    path, colon, name = target.rpartition(":")
    if not colon or Path(target).exists() or not path.endswith(".py"):
        return Path(target), ""
    return Path(path), name
