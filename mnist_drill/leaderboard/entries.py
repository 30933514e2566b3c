"""Entries of the leaderboard: a report of the judge, NAME.json, beside the file that it was made from, NAME.py."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_drill.course.notebooks import ROOT
from mnist_drill.errors import DrillError
from mnist_drill.judge.report import FAILED, PASSED, Report
from mnist_drill.judge.rules import PRESETS
from mnist_drill.judge.submission import read_submission
from mnist_drill.recipes import STAGE4

if TYPE_CHECKING:
    from mnist_drill.judge.rules import Rules
    from mnist_drill.judge.submission import Submission

RULES = PRESETS["drill"]
NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
PLAIN = re.compile(r"[\w .,:()@+-]{1,100}")  # of what a page says of the machine
MACHINE = ("hardware", "threads", "torch")
# What a full judgement finds; `trained` is only there where it failed, and `parts` where rules ask for some.
JUDGED = {"loads", "shape", "untouched", "operations", "repeatable", "alone", "parameters", "initialization", "step",
          "recipe", "accuracy", "shifted"}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A report that may stand on the leaderboard, and the submission that it was made from."""

    path: Path  # of the report
    report: Report
    submission: Submission

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def parameters(self) -> int:
        return self.report.parameters.counted

    @property
    def epochs(self) -> int:
        return self.report.recipe["epochs"]

    @property
    def lowest(self) -> float:
        """The lowest test accuracy of the last epochs at all seeds, in percent."""
        return min(self.report.lowest())

    @property
    def holds(self) -> bool:
        """Whether that is what the rules ask for."""
        return self.report.verdict == PASSED

    @property
    def time(self) -> float:
        """The time of a whole training as a share of that of stage 4's."""
        return self.report.speed.ratio * self.epochs / STAGE4.epochs


def leaderboard() -> Path:
    """The folder `leaderboard` of the clone or, where the package was installed, the reports that came with it."""
    if (ROOT / "leaderboard").is_dir():
        return ROOT / "leaderboard"
    try:
        files = metadata.files("mnist-drill") or []
    except metadata.PackageNotFoundError:
        files = []
    folders = {Path(file.locate()).parent for file in files if file.match("share/mnist-drill/leaderboard/*.json")}
    return next(iter(folders), ROOT / "leaderboard")


def entries(folder: Path, rules: Rules = RULES) -> list[Entry]:
    """The entries in a folder, by name. Raises `DrillError` for no folder, and a report that may not stand there."""
    check_folder(folder)
    return [read_entry(path, rules) for path in sorted(folder.glob("*.json"))]


def read_entry(path: Path, rules: Rules = RULES) -> Entry:
    """The entry of a report, or of the file beside it. Raises `DrillError` for one that may not stand there."""
    path = path.with_suffix(".json")
    check_name(path)
    report, submission = Report.load(path), read_submission(path.with_suffix(".py"))
    if report.source != submission.source:
        raise DrillError(f"{path} was not made from {path.with_suffix('.py')} as it is: judge it again")
    why = fault(report, rules)
    if why:
        raise DrillError(f"{path} is no entry of the leaderboard: {why}")
    return Entry(path, report, submission)


def check_folder(folder: Path) -> None:
    """Raises `DrillError` where there is no such folder."""
    if not folder.is_dir():
        raise DrillError(f"cannot read {folder}: there is no such folder")


def check_name(path: Path) -> None:
    """Raises `DrillError` for a name that is not made of letters, digits and underscores."""
    if not NAME.fullmatch(path.stem):
        raise DrillError(f"{path}: name it with at most 40 letters, digits and underscores")


def fault(report: Report, rules: Rules = RULES) -> str:
    """Why a report may not stand on the leaderboard; empty where it may. A low accuracy is no reason."""
    if report.quick:
        return "it was judged without training"
    if replace(report.rules, seeds=rules.seeds, limits=rules.limits) != rules:
        return f"it was judged by other rules than {rules.name!r}"
    if len(set(report.seeds)) < rules.seeds:
        return f"it was judged at {len(set(report.seeds))} seeds, and {rules.seeds} are asked for"
    wanted = JUDGED | ({"parts"} if rules.required or rules.forbidden else set())
    missing = wanted - {finding.rule for finding in report.findings}
    if missing:
        return f"it says nothing of {', '.join(sorted(missing))}"
    for finding in report.findings:
        if finding.verdict != PASSED and (finding.rule, finding.verdict) != ("accuracy", FAILED):
            return f"{finding.rule} {finding.verdict}: {finding.found}"
    return _fault_of_figures(report, rules)


def _fault_of_figures(report: Report, rules: Rules) -> str:
    """Whether the figures are there and agree with each other."""
    if report.parameters is None or report.mflops is None or report.speed is None:
        return "parameters, MFLOPs or the time of an epoch are missing"
    if not all(each and all(0 < x < math.inf for x in each) for each in (report.speed.seconds, report.speed.stage4)):
        return "it says no time of an epoch, or one that cannot be"
    if not 0 < report.parameters.counted < rules.parameters_below:
        return f"it has {report.parameters.counted:,} parameters"
    for split in ("validation", "test"):
        runs = report.runs_on(split)
        if tuple(run.seed for run in runs) != report.seeds:
            return f"its runs on the {split} set are not those of its seeds"
        if any(len(run.epochs) != report.recipe.get("epochs") for run in runs):
            return f"a run on the {split} set has another number of epochs than its recipe"
        if not all(PLAIN.fullmatch(str(run.environment.get(key, ""))) for run in runs for key in MACHINE):
            return f"a run on the {split} set does not say its machine in plain words"
        if len({run.data for run in runs}) != 1:
            return f"its runs on the {split} set have different data"
        if not all(0 <= row.test_accuracy <= 100 for run in runs for row in run.epochs):
            return f"an accuracy on the {split} set cannot be"
    if (min(report.lowest()) >= rules.accuracy) != (report.finding("accuracy").verdict == PASSED):
        return "its verdict on accuracy is not that of its runs"
    return ""
