"""A report as a card: for the terminal, and for a notebook."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mnist_drill.course.claims import Verdicts
from mnist_drill.course.tables import Table, mean_and_spread
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN

if TYPE_CHECKING:
    from mnist_drill.judge.report import Report
    from mnist_drill.judge.trainings import Task
    from mnist_drill.runs import Epoch

MARKS = {PASSED: "✓", FAILED: "✗", UNKNOWN: "?"}
WIDTH = 100
HEADER = ("layer", "kind", "shape", "receptive field", "parameters")


class Card:
    """A report as a notebook shows it; what is printed of it is `card`."""

    def __init__(self, report: Report):
        self.report = report

    @property
    def verdicts(self) -> Verdicts:
        """A line for each rule, without figures."""
        return Verdicts(f"{MARKS[each.verdict]} {each.rule}" for each in self.report.findings)

    def __repr__(self) -> str:
        return card(self.report)

    def _repr_markdown_(self) -> str:
        report = self.report
        rules = [[MARKS[each.verdict], each.rule, each.found] for each in report.findings]
        parts = [f"**{title(report)}**", Table(["", "rule", "found"], rules).markdown()]
        parts += [f"- {each.rule}: {each.why} {each.next}" for each in report.findings if each.verdict != PASSED]
        parts.append(Table(["figure", ""], figures(report).items()).markdown())
        if report.layers:
            parts.append(Table(HEADER, _layers(report)).markdown())
        if report.no_fields:
            parts.append(f"The largest layers; no receptive fields: {report.no_fields}")
        if report.output:
            parts.append(f"It printed:\n\n{textwrap.indent(report.output, '    ')}")
        return "\n\n".join(parts)


def title(report: Report) -> str:
    """What was judged, and the verdict."""
    name = f"{report.file}{report.network and ':' + report.network}"
    kind = ", without training" if report.quick else ""
    return f"{name}: {report.verdict.upper()} by the rules {report.rules.name!r}{kind}"


def epoch_line(task: Task, row: Epoch) -> str:
    """What is said of an epoch while the judge trains."""
    return f"seed {task.seed}, epoch {row.epoch}: {task.evaluated_on} accuracy {row.test_accuracy:.2f} %"


def card(report: Report) -> str:
    """The verdict, a line for each rule with its reason where it did not pass, and the figures."""
    lines = [title(report), ""]
    for finding in report.findings:
        lines += _wrapped(f"{MARKS[finding.verdict]} {finding.rule:14} ", finding.found)
        if finding.verdict != PASSED:
            lines += _wrapped(" " * 17 + "why:  ", finding.why)
            lines += _wrapped(" " * 17 + "next: ", finding.next) if finding.next else []
    lines += ["", *(line for name, value in figures(report).items() for line in _wrapped(f"  {name:30} ", value))]
    if report.layers:
        lines += ["", str(Table(HEADER, _layers(report)))]
        if report.no_fields:
            lines += _wrapped("", f"The largest layers; no receptive fields: {report.no_fields}")
    if report.output:
        lines += ["", "It printed:", *textwrap.indent(report.output, "  ").splitlines()]
    return "\n".join(lines)


def figures(report: Report) -> dict[str, str]:
    """The figures of a report by name, in words."""
    facts = {}
    if report.parameters:
        facts["parameters"] = f"{report.parameters.counted:,}; batch norm's running statistics, not counted, " \
            f"{report.parameters.running_statistics:,}"  # fmt: skip
    if report.parts:
        parts = {part: where.removeprefix(part.replace(" layer", ", ")) for part, where in report.parts.items()}
        facts["made of"] = "; ".join(f"{part} {where}" for part, where in parts.items())
    if report.mflops is not None:
        facts["MFLOPs per image"] = (
            f"{report.mflops:.2f}, {report.mflops / report.mflops_of_stage4:.2f} times stage 4's"
        )
    if report.speed:
        facts["time of an epoch"] = f"{report.speed.ratio:.2f} times stage 4's, measured in turns"
    for split, words in (("validation", "trained on the split"), ("test", "trained on all images")):
        runs = report.runs_on(split)
        if runs:
            last = mean_and_spread([run.last.test_accuracy for run in runs])
            epochs, low = min(report.rules.last, len(runs[0].epochs)), min(report.lowest(split))
            seeds = f"{len(runs)} seed{'s' * (len(runs) > 1)}"
            facts[f"{split} accuracy"] = (
                f"last epoch {last} %, lowest of the last {epochs} {low:.2f} %, {words}, {seeds}"
            )
            facts[f"seconds per epoch ({split})"] = mean_and_spread([run.seconds_per_epoch for run in runs], 1)
    facts["seeds"] = ", ".join(map(str, report.seeds))
    facts["isolated from"] = ", ".join(report.closed) or "nothing: this system allows it to be limited only"
    return facts


def _layers(report: Report) -> list[list[object]]:
    return [[x.name, x.kind, x.shape, x.receptive_field or "–", f"{x.parameters:,}"] for x in report.layers]


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]
