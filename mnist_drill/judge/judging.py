"""Judging one submission: examine it, train it if nothing speaks against it, and report."""

from __future__ import annotations

import os
import secrets
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import mnist_drill
from mnist_drill.benchmark.flops import flops_per_image
from mnist_drill.errors import DrillError
from mnist_drill.judge.examination import examine
from mnist_drill.judge.processes import Zygote
from mnist_drill.judge.report import PASSED, UNKNOWN, Finding, Report, Speed
from mnist_drill.judge.rules import LARGEST_DRAWN_SEED, PRESETS
from mnist_drill.judge.sets import Sets
from mnist_drill.judge.structure import Structure
from mnist_drill.judge.submission import Submission, read_submission
from mnist_drill.judge.talk import line
from mnist_drill.judge.trainings import CPU, Task, Trained, Trainer
from mnist_drill.judge.verdicts import confusion_of, errors_of, not_trained, recipe_finding, training_findings
from mnist_drill.networks import stage4
from mnist_drill.recipes import STAGE4, Recipe
from mnist_drill.storage.mnist import data_folder
from mnist_drill.study.changes import changed
from mnist_drill.training.devices import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.judge.rules import Rules
    from mnist_drill.runs import Epoch

SPEED_IMAGES, SPEED_TURNS = 6_000, 3
REFERENCE = Submission("stage4.py", "from mnist_drill.networks import stage4 as network\n", recipe=STAGE4)


def draw_seeds(count: int, first: int | None = None) -> tuple[int, ...]:
    """Random seeds that nobody knew before; or those from `first` on, to repeat a judgement."""
    if first is not None:
        return tuple(range(first, first + count))
    seeds: set[int] = set()
    while len(seeds) < count:
        seeds.add(secrets.randbelow(LARGEST_DRAWN_SEED))
    return tuple(sorted(seeds))


def cores() -> int:
    """The CPU's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def zygote(*folders: Path) -> Zygote:
    """What starts submissions' processes; to them the data is closed, and these folders."""
    return Zygote([data_folder(), Path(mnist_drill.__file__).parents[1] / "data", *folders])


def judge(
    path: str | Path | Submission,
    name: str = "",
    *,
    rules: Rules = PRESETS["drill"],
    quick: bool = False,
    first_seed: int | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    on_epoch: Callable[[Task, Epoch], object] = lambda task, row: None,
    sets: Sets | None = None,
    processes: Zygote | None = None,
    speed: bool = True,
) -> Report:
    """Judges the network in a file by the rules, and returns the report; never raises for what the file does.

    `quick` leaves the training out. `jobs` trainings run at the same time, each with its share of the CPU's threads; by
    default one on each core. `threads` is that share, if it is to be another.
    Seeds are drawn anew unless `first_seed` says which. `on_epoch` is given each epoch of a training as it comes.
    Whoever judges several files gives the images, `sets`, and `processes` once. Raises `DrillError` for a file that
    cannot be read.
    """
    submission = path if isinstance(path, Submission) else read_submission(Path(path), name)
    # The seeds that are trained with, and one more that the first is compared with.
    seeds = draw_seeds(rules.seeds + 1, first_seed)
    with nullcontext(processes) if processes else zygote() as started:
        sets = sets or Sets.load()
        jobs = jobs or min(cores(), 2 * rules.seeds)
        threads = threads or max(1, cores() // jobs)
        return _Judgement(submission, rules, seeds, started, sets, jobs, threads, on_epoch).report(quick, speed)


class _Judgement:
    """One submission before the judge."""

    def __init__(self, submission, rules, seeds, processes, sets, jobs, threads, on_epoch):
        self.submission, self.rules, self.sets, self.seeds = submission, rules, sets, seeds
        self.processes, self.jobs, self.threads, self.on_epoch = processes, jobs, threads, on_epoch

    def report(self, quick: bool, speed: bool) -> Report:
        """Examines and, unless it is quick or something failed, trains."""
        images = self.sets.train_set.images
        examination = examine(self.processes, self.submission, images, self.rules, (self.seeds[0], self.seeds[-1]))
        structure = Structure(examination, self.rules)
        layers, no_fields = structure.layers
        findings = list(structure.findings)
        recipe, finding = self._recipe(examination.first.facts.get("recipe"))
        if "name" in examination.first.facts:
            findings.append(finding)
        report = Report(
            name=self.submission.title, file=self.submission.file,
            network=line(examination.first.facts.get("name", ""), 100), source=self.submission.source,
            judged=datetime.now(timezone.utc).isoformat(timespec="seconds"), quick=quick, rules=self.rules,
            seeds=self.seeds[:-1], findings=tuple(findings), environment=environment(CPU, recipe),
            closed=tuple(examination.first.closed), recipe=asdict(recipe),
            parameters=structure.parameters,
            parts=structure.parts, layers=layers, no_fields=no_fields,
            mflops=structure.facts and structure.facts["flops"] / 1e6,
            mflops_of_stage4=flops_per_image(stage4()) / 1e6, output=_printable(examination.first.ending.output),
        )  # fmt: skip
        if quick:
            return report
        if report.verdict != PASSED:
            decides = next(each.rule for each in findings if each.verdict == report.verdict)
            return replace(report, findings=(*findings, *not_trained(f"{decides!r} did not pass")))
        return self._trained(report, structure, recipe, speed)

    def _recipe(self, told: object) -> tuple[Recipe, Finding]:
        """The recipe beside the file, that in the file, or the default one."""
        beside = self.submission.recipe
        try:
            own = None if told is None else changed(Recipe(), {**told, "schedule": told["schedule"] or "constant"})
        except (DrillError, TypeError, KeyError, ValueError) as error:
            return Recipe(), Finding("recipe", UNKNOWN, line(error, 300), "A recipe has the settings of `Recipe`.")
        if beside is not None and own is not None and beside != own:
            found = "there is a recipe in the file and another one in the TOML file beside it"
            return own, Finding("recipe", UNKNOWN, found, "One recipe is judged.", "Remove one of the two.")
        recipe = beside or own
        default = Recipe(epochs=min(Recipe().epochs, self.rules.epochs))
        return recipe or default, recipe_finding(recipe or default, self.rules, recipe is not None)

    def _trained(self, report: Report, structure: Structure, recipe: Recipe, speed: bool) -> Report:
        trainer = Trainer(self.processes, self.submission, self.sets, self.rules, self.threads,
                          structure.recorded.program, report.parameters.counted, self.on_epoch)  # fmt: skip
        measured = self._speed(trainer, recipe) if speed else None
        tasks = [Task(recipe, seed, split) for split in ("validation", "test") for seed in report.seeds]
        with self.processes.pool(self.jobs) as pool:
            trained: list[Trained] = list(pool.map(trainer.train, tasks))
        after = training_findings(trained, self.sets, self.rules)  # some judge a rule again
        findings = tuple({each.rule: each for each in (*report.findings, *after)}.values())
        report = replace(
            report, findings=findings, speed=measured, runs=tuple(each.run for each in trained if each.run),
            environment=trained[0].run.environment if trained[0].run else report.environment,
        )  # fmt: skip
        last = trained[-1]
        if last.logits is None or last.why:
            return report
        return replace(
            report,
            confusion=confusion_of(last.logits, self.sets.test_set.labels),
            errors=errors_of(last.logits, self.sets),
        )

    def _speed(self, trainer: Trainer, recipe: Recipe) -> Speed | None:
        """The network and stage 4 in turns, on the same images."""
        images = self.sets.train_set[:SPEED_IMAGES]
        reference = replace(trainer, submission=REFERENCE)
        ours, theirs = [], []
        for _ in range(SPEED_TURNS):
            ours.append(trainer.seconds_per_epoch(recipe, images))
            theirs.append(reference.seconds_per_epoch(STAGE4, images))
        if None in ours or None in theirs:
            return None
        return Speed(len(images), tuple(ours), tuple(theirs))


def _printable(output: str) -> str:
    """Output without characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in output)
