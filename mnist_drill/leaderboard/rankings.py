"""The rankings: one for each question, from the entries."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from mnist_drill.course.tables import Table, mean_and_spread, percent
from mnist_drill.leaderboard.entries import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnist_drill.judge.rules import Rules
    from mnist_drill.leaderboard.entries import Entry

# By question: the figure to rank by, the smallest first, and whether only networks that hold the accuracy are ranked.
QUESTIONS: dict[str, tuple[Callable[[Entry], float], bool]] = {
    "Highest minimum of test accuracy over the last {last} epochs, under {parameters_below:,} parameters":
        (lambda entry: -entry.lowest, False),
    "Fewest parameters that hold {accuracy:g} %": (lambda entry: entry.parameters, True),
    "Fewest epochs that hold {accuracy:g} %": (lambda entry: entry.epochs, True),
    "Least time of training that holds {accuracy:g} %": (lambda entry: entry.time, True),
}  # fmt: skip
HEADER = ("place", "network", "lowest of the last epochs, all seeds", "last epoch, mean ± standard deviation",
          "parameters", "epochs", "training time, times stage 4's", "seeds")  # fmt: skip


def rankings(entries: Sequence[Entry], links: str = "", rules: Rules = RULES) -> dict[str, Table | None]:
    """The table of each question, None where no entry is ranked. `links` is where the entries' files are, if anywhere.

    Networks with the same figure share a place.
    """
    tables = {}
    for question, (figure, must_hold) in QUESTIONS.items():
        ranked = sorted((x for x in entries if x.holds or not must_hold), key=lambda x: (figure(x), -_mean(x), x.name))
        values = [figure(entry) for entry in ranked]
        rows = [[values.index(value) + 1, *_row(entry, links)] for value, entry in zip(values, ranked, strict=True)]
        tables[question.format(**vars(rules))] = Table(HEADER, rows) if rows else None
    return tables


def _row(entry: Entry, links: str) -> list[object]:
    lasts = [run.last.test_accuracy for run in entry.report.runs_on("test")]
    name = f"[{entry.name}]({links}{entry.name}.py)" if links else entry.name
    return [name, percent(entry.lowest), mean_and_spread(lasts), f"{entry.parameters:,}", entry.epochs,
            f"{entry.time:.2f}", len(entry.report.seeds)]  # fmt: skip


def _mean(entry: Entry) -> float:
    return fmean(run.last.test_accuracy for run in entry.report.runs_on("test"))
