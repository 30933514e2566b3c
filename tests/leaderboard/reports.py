"""Reports to make entries of: stage 4's stored runs as if the judge had trained them."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

from mnist_drill.evidence.stored import load_runs
from mnist_drill.judge.report import FAILED, PASSED, Finding, Parameters, Report, Speed
from mnist_drill.judge.rules import PRESETS
from mnist_drill.judge.submission import read_submission
from mnist_drill.leaderboard.entries import JUDGED

FILE = "from mnist_drill.networks import stage4 as network\nfrom mnist_drill.recipes import STAGE4 as recipe\n"


def full_report(seeds=(1, 2, 3), study="stage4", parameters=9904, seconds=1.0, **changes):
    """A report of a full judgement whose runs are stored ones, evaluated on both sets."""
    runs = [run for run in load_runs(study) if run.seed in seeds]
    both = [replace(run, evaluated_on=split) for split in ("validation", "test") for run in runs]
    lowest = min(run.lowest_of_last(5) for run in runs)
    verdicts = dict.fromkeys(sorted(JUDGED), PASSED) | {"accuracy": PASSED if lowest >= 99.4 else FAILED}
    return replace(
        _bare(), seeds=tuple(run.seed for run in runs), runs=tuple(both), recipe=asdict(runs[0].recipe),
        environment=runs[0].environment, parameters=Parameters(parameters),
        findings=tuple(Finding(rule, verdict, "found", "why") for rule, verdict in verdicts.items()),
        speed=Speed(6000, (seconds,) * 3, (1.0,) * 3), **changes,
    )  # fmt: skip


@cache
def _bare():
    return Report(
        name="mine", file="mine.py", network="network", source="", judged="2026-01-01T00:00:00+00:00", quick=False,
        rules=PRESETS["drill"], seeds=(), findings=(), environment={}, mflops=5.8, mflops_of_stage4=5.8,
    )  # fmt: skip


def put(folder, name, report=None, text=FILE):
    """Writes an entry, or what is to be none, and returns the path of the report."""
    file = folder / f"{name}.py"
    file.write_text(text)
    report = report or full_report()
    replace(report, name=name, source=read_submission(file).source).save(folder / f"{name}.json")
    return folder / f"{name}.json"
