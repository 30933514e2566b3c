"""The judge in a notebook: judging a file that a cell wrote, and its network beside those of the course."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnist_drill.course import study_plots
from mnist_drill.course.statistics import difference
from mnist_drill.course.tables import Table, mean_and_spread, percent
from mnist_drill.errors import DrillError
from mnist_drill.evidence.stored import load_runs
from mnist_drill.judge import judging
from mnist_drill.judge.card import Card, epoch_line
from mnist_drill.judge.report import Report
from mnist_drill.judge.submission import read_submission
from mnist_drill.leaderboard.entries import leaderboard
from mnist_drill.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnist_drill.runs import Run

OUT = Path("runs/judge")  # as of the command
BASELINE = "stage4"


def judge(file: str | Path, quick: bool = True, **options) -> Card:
    """Judges the network in a Python file, as `mnist-drill judge FILE` does, and returns the card.

    `quick` leaves the training out. A full judgement prints each epoch, and stores its report for `stored`, unless that
    one has finished trainings and this one has none. `options` are those of `judging.judge`. Raises `DrillError` for
    what is no file, and never for what is in the file.
    """
    if not isinstance(file, str | Path):
        kind = getattr(file, "__name__", type(file).__name__)
        raise DrillError(
            f"the judge takes a file, not {kind} itself: begin its cell with the line %%writefile network.py, run it, "
            "and judge 'network.py'"
        )

    report = judging.judge(file, quick=quick, on_epoch=lambda task, row: print(epoch_line(task, row)), **options)
    path = OUT / f"{report.name}.json"
    if not quick and report.may_replace(path):
        report.save(path)
    return Card(report)


def stored(file: str | Path) -> Card | None:
    """The card of a full judgement of this very file, made here before or part of the leaderboard; None without one.

    Another recipe or another line of the file make it another network.
    """
    source = read_submission(Path(file)).source
    for path in [OUT / f"{Path(file).stem}.json", *sorted(leaderboard().glob("*.json"))]:
        try:
            report = Report.load(path)
        except DrillError:
            continue
        if report.source == source and not report.quick:
            return Card(report)
    return None


def example(name: str) -> Card:
    """The card of an entry of the leaderboard. Raises `DrillError` where there is none of that name."""
    return Card(Report.load(leaderboard() / f"{name}.json"))


def compared(*cards: Card) -> Table:
    """The judged networks beside the stages of the course, by the runs on the test set; the difference is from stage 4.

    Accuracies in percent, of the last epoch; the interval is that of Welch's t-test.
    """
    networks = _networks(cards)
    against = networks[BASELINE].runs
    rows = []
    for label, (parameters, epochs, runs) in networks.items():
        lows = [run.lowest_of_up_to(5) for run in runs]
        rows.append(
            [label, f"{parameters:,}", epochs, len(runs)]
            + ([mean_and_spread([run.last.test_accuracy for run in runs]), percent(min(lows))] if runs else ["–", "–"])
            + ["–" if not runs or label == BASELINE else difference(runs, against)]
        )
    header = ["network", "parameters", "epochs", "seeds", "last test accuracy", "lowest of the last epochs",
              f"against {BASELINE}"]  # fmt: skip
    return Table(header, rows)


def picture(*cards: Card) -> None:
    """Accuracy against parameters: the judged networks among the stages of the course, with intervals over seeds."""
    networks = _networks(cards)
    study_plots.networks(
        {label: network.runs for label, network in networks.items()},
        {label: network.parameters for label, network in networks.items()},
        chosen=[label for label in networks if label not in STAGES],
    )


class _Network(NamedTuple):
    parameters: int
    epochs: int
    runs: list[Run]


def _networks(cards: Sequence[Card]) -> dict[str, _Network]:
    """Those of the stages with their stored runs, then those that were judged; each file once, by its first card."""
    networks = {name: _Network(stage.parameters, stage.recipe.epochs, load_runs(name, stage.recipe))
                for name, stage in STAGES.items()}  # fmt: skip
    reports = {card.report.source: card.report for card in reversed(cards) if card.report.parameters}
    for report in reversed(reports.values()):
        name = f"{report.name}, judged" if report.name in STAGES else report.name
        labels = chain([name], (f"{name}, {number}" for number in count(2)))  # of versions of one file
        label = next(each for each in labels if each not in networks)
        networks[label] = _Network(report.parameters.counted, report.recipe["epochs"], report.runs_on("test"))
    return networks
