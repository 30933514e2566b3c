"""Judging an entry of the leaderboard again, at seeds that it does not know, and comparing the figures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from mnist_drill.course.statistics import Difference, welch
from mnist_drill.course.tables import Table
from mnist_drill.judge.judging import judge
from mnist_drill.judge.report import PASSED
from mnist_drill.leaderboard.entries import RULES, check_folder, fault, read_entry
from mnist_drill.storage.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_drill.judge.report import Report
    from mnist_drill.judge.rules import Rules
    from mnist_drill.leaderboard.entries import Entry

SLOWER = 1.5  # how many times the reported time of an epoch, relative to stage 4's, the judge's own may be


@dataclass(frozen=True)
class Check:
    """One figure of an entry: what was reported, what was found, and why the entry is not accepted, if it is not."""

    figure: str
    reported: str
    found: str
    fault: str = ""


@dataclass(frozen=True)
class Checked:
    """An entry, the report of judging it again, and the comparison of both."""

    entry: Entry
    own: Report
    checks: tuple[Check, ...]

    @property
    def accepted(self) -> bool:
        return not any(check.fault for check in self.checks)

    @property
    def verdict(self) -> str:
        """In one line."""
        faults = "; ".join(check.fault for check in self.checks if check.fault)
        return f"{self.entry.name}: {'accepted' if self.accepted else f'not accepted: {faults}'}"

    def table(self) -> Table:
        rows = [[x.figure, x.reported, x.found, "✗" if x.fault else "✓"] for x in self.checks]
        return Table(["figure", "reported", "judged again", ""], rows)


def unknown_entries(folder: Path, known: Path, rules: Rules = RULES) -> list[Entry]:
    """The entries in a folder that are not, letter for letter, in the other one. Raises `DrillError` as `entries`."""

    check_folder(folder)
    check_folder(known)

    def same(path: Path) -> bool:
        both = [(each, known / each.name) for each in (path, path.with_suffix(".py"), path.with_suffix(".toml"))]
        return all(_text(ours) == _text(theirs) for ours, theirs in both)

    files = {path.with_suffix(".json") for ending in ("json", "py", "toml") for path in folder.glob(f"*.{ending}")}
    return [read_entry(path, rules) for path in sorted(files) if not same(path)]


def _text(path: Path) -> str | None:
    return read_text(path) if path.exists() else None


def check(entry: Entry, rules: Rules = RULES, **options) -> Checked:
    """Judges the entry again, by `judging.judge` with these options, at seeds that are drawn anew; and compares."""
    own = judge(entry.submission, rules=rules, **options)
    return Checked(entry, own, tuple(compare(entry.report, own, rules)))


def compare(reported: Report, own: Report, rules: Rules = RULES) -> list[Check]:
    """The figures of a report beside those of judging it again; of the latter none is taken for granted."""
    why = fault(own, rules)
    if why:
        return [Check("rules", reported.verdict, own.verdict, f"judged again, it is no entry: {why}")]
    lows = reported.lowest(), own.lowest()
    difference = Difference(*welch(*lows))
    # Values that do not vary over several seeds have no interval either, and are compared as they are.
    constant = min(map(len, lows)) > 1 and len({*lows[0]}) == len({*lows[1]}) == 1
    higher = difference.low > 0 or (constant and difference.mean > 0)
    asked = f"{rules.accuracy:g} %"
    parameters = reported.parameters.counted, own.parameters.counted
    ratios = reported.speed.ratio, own.speed.ratio
    epochs = reported.recipe["epochs"], own.recipe["epochs"]
    data = [{split: run.data for split in ("validation", "test") for run in each.runs_on(split)}
            for each in (reported, own)]  # fmt: skip
    return [
        Check("parameters", *(f"{x:,}" for x in parameters), _unless(parameters[0] == parameters[1], "it has another "
              "number of parameters than reported")),
        Check("epochs", *map(str, epochs), _unless(epochs[0] == epochs[1], "its recipe has another number of epochs")),
        Check("data", "MNIST" if data[0] == data[1] else "other data", "MNIST",
              _unless(data[0] == data[1], "it was trained or evaluated on other data")),
        Check("MFLOPs per image", f"{reported.mflops:.2f}", f"{own.mflops:.2f}",
              _unless(abs(reported.mflops - own.mflops) < 0.01 * own.mflops, "it has another number of FLOPs")),
        Check("mean over seeds of the lowest of the last epochs, %", f"{fmean(lows[0]):.2f}", f"{fmean(lows[1]):.2f}",
              f"its reported accuracy is significantly better: {difference}" if higher else ""),
        Check(f"{asked} in each of the last epochs", *("yes" if x.verdict == PASSED else "no" for x in (reported, own)),
              _unless(reported.verdict != PASSED or own.verdict == PASSED, f"it does not hold {asked} at other seeds")),
        Check("time of an epoch, times stage 4's", *(f"{x:.2f}" for x in ratios),
              _unless(ratios[1] <= SLOWER * ratios[0], f"an epoch takes over {SLOWER:g} times what was reported")),
    ]  # fmt: skip


def _unless(right: bool, fault: str) -> str:
    return "" if right else fault
