"""Training a submission in a process of its own, and evaluating, after each epoch, the program that it has become.

The submission's process is given the images and labels that it trains on. What is evaluated is carried out in another
process, in which no code of the submission runs; this one, the judge's, has the labels.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import torch

from mnist_drill.data import checksum, to_grey
from mnist_drill.judge.counting import count
from mnist_drill.judge.talk import TRAINED, Talk, line
from mnist_drill.predictions import score as score_of
from mnist_drill.runs import Epoch, Run, Score
from mnist_drill.training.devices import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from mnist_drill.data import LabeledImages
    from mnist_drill.judge.processes import Process, Zygote
    from mnist_drill.judge.program import Program
    from mnist_drill.judge.rules import Rules
    from mnist_drill.judge.sets import Sets
    from mnist_drill.judge.submission import Submission
    from mnist_drill.recipes import Recipe

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """One training: by what recipe, from which seed, and which set it is evaluated on, "validation" or "test"."""

    recipe: Recipe
    seed: int
    evaluated_on: str


@dataclass
class Trained:
    """What came of a training. Without a run, or with one that stopped, `why` says what happened."""

    task: Task
    run: Run | None = None
    why: str = ""
    replaced: tuple[str, ...] = ()  # functions that the file replaced
    fault: tuple[str, str] | None = None  # the rule that what it has become does not keep, and what was found
    logits: Tensor | None = None  # of the evaluation set, after the last epoch
    shifted: Tensor | None = None  # of the test images moved by one pixel, where these are evaluated
    claimed: Tensor | None = None  # what the submission's own process answers to the test images and the moved ones


@dataclass(frozen=True)
class Trainer:
    """Trains a submission that was examined; `on_epoch` is given each row as it comes.

    A process may say more than the judge's own code in it does. So each program is compared with the one that was
    examined when it is evaluated, and what is told after that takes the place of none.
    """

    zygote: Zygote
    submission: Submission
    sets: Sets
    rules: Rules
    threads: int
    examined: Program
    parameters: int  # of `examined`
    on_epoch: Callable[[Task, Epoch], object]

    def train(self, task: Task) -> Trained:
        """Trains once. Ends with what there is where the submission does not get to the end."""
        train_set, evaluation_set = self.sets.by_split[task.evaluated_on]
        seconds = 60 * self.rules.limits.minutes_to_train
        limits = self.rules.limits
        talk, trained = Talk(limits, seconds, TRAINED), Trained(task)
        rows: list[Epoch] = []
        with (
            self.zygote.start(limits, seconds, self.threads) as process,
            self.zygote.start(limits, seconds + 60, self.threads) as replayer,
        ):
            self._begin(task, train_set, process)
            self._give_sets(task, train_set, evaluation_set, replayer)
            while len(rows) < task.recipe.epochs and (kind := talk.listen(process)) is not None:
                if kind != "program":
                    if "diverged" in talk.facts:
                        break
                    continue
                told = talk.programs["trained"]
                program, facts = told.program, told.facts
                logits = self._carried_out(program, replayer, "evaluation", len(evaluation_set), trained)
                if logits is None:
                    break
                score = score_of(logits, evaluation_set.labels)
                trained.logits = logits
                rows.append(Epoch(len(rows) + 1, facts["train_loss"], facts["train_accuracy"], score.loss,
                                  score.accuracy, facts["seconds"]))  # fmt: skip
                self.on_epoch(task, rows[-1])
            score = None
            if len(rows) == task.recipe.epochs:
                score = self._finish(task, program, talk, process, replayer, train_set, trained)
            talk.ending = process.end()
        trained.replaced = tuple(talk.replaced)
        if score is None:
            diverged = line(talk.facts.get("diverged", ""))
            trained.why = trained.why or diverged or talk.why or "the training did not finish"
        if rows:
            trained.run = self._run(task, rows, score or Score(math.nan, math.nan), trained)
        return trained

    def seconds_per_epoch(self, recipe: Recipe, images: LabeledImages) -> float | None:
        """Seconds to train on some images, once, by the judge's clock; None where it does not get there."""
        seconds = 60 * self.rules.limits.minutes_to_train
        talk, start = Talk(self.rules.limits, seconds, TRAINED), None
        with self.zygote.start(self.rules.limits, seconds, self.threads) as process:
            self._begin(Task(recipe.with_epochs(1), 0, "validation"), images, process)
            while (kind := talk.listen(process)) is not None:
                if kind == "program":
                    return start and time.perf_counter() - start
                if start is None and talk.facts.get("epoch") == 1:
                    start = time.perf_counter()
        return None

    def _begin(self, task: Task, train_set: LabeledImages, process: Process) -> None:
        head = {"job": "train", "seed": task.seed, "recipe": _plain(task.recipe)}
        given = {"images": to_grey(train_set.images), "labels": train_set.labels.byte()}
        process.ask({**head, **self.submission.head(self.zygote.hidden)}, given)

    def _give_sets(
        self, task: Task, train_set: LabeledImages, evaluation_set: LabeledImages, replayer: Process
    ) -> None:
        given = {"evaluation": to_grey(evaluation_set.images), "train": to_grey(train_set.images)}
        if task.evaluated_on == "test":
            given["shifted"] = to_grey(self.sets.shifted.images)
        replayer.ask({"job": "replay"}, given)
        replayer.answer()  # what is closed to it

    def _carried_out(
        self, program: Program, replayer: Process, on: str, images: int, trained: Trained
    ) -> Tensor | None:
        """The logits of the program that the network has become, (images, 10); None, and why, where it gives none, or
        where it does not keep a rule that it kept before: training may show what the first weights hid."""
        rule, found, logits = *self._parted(program), None
        if not rule:
            head, tensors = replayer.carry_out(program, on)
            if "not_replayable" in head:
                found = line(head["not_replayable"], 300)
            elif head["changed"]:
                rule, found = "repeatable", "it changes its own tensors in evaluation mode"
            elif head["by_neighbours"]:
                rule, found = "alone", "an image gets another answer beside other images"
            elif tensors["logits"].shape != (images, 10):
                found = "its answers have another shape"
            else:
                logits = tensors["logits"]
        if found:
            trained.why = f"after training at seed {trained.task.seed}: {found}"
            trained.fault = (rule, trained.why) if rule else None
        return logits

    def _parted(self, program: Program) -> tuple[str, str]:
        """How a program is not the one that was examined: the rule and what was found, empty where it is that one."""
        if program.structure != self.examined.structure:
            return "trained", "its operations are others than those that were examined"
        counted = count(replace(self.examined, constants=program.constants)).counted
        if counted > self.parameters:
            return "parameters", f"{counted:,} parameters, not {self.parameters:,}: tensors that were one have parted"
        return "", ""

    def _finish(
        self, task: Task, program: Program, talk: Talk, process: Process, replayer: Process, train_set: LabeledImages,
        trained: Trained,
    ) -> Score | None:  # fmt: skip
        """After the last epoch: the score on the training set and, where it trained on all, the moved test images."""
        logits = self._carried_out(program, replayer, "train", len(train_set), trained)
        if logits is None:
            return None
        score = score_of(logits, train_set.labels)
        if task.evaluated_on == "test":
            trained.shifted = self._carried_out(program, replayer, "shifted", len(self.sets.shifted), trained)
            if trained.shifted is None:
                return None
            both = torch.cat([self.sets.test_set.images, self.sets.shifted.images])
            order = torch.randperm(len(both))  # so that nothing tells which is which
            while "replaced" not in talk.facts and talk.listen(process) is not None:
                pass
            process.ask({}, {"images": to_grey(both[order])})
            while "test" not in talk.answers and talk.listen(process) is not None:
                pass
            if "test" in talk.answers and talk.answers["test"].logits is not None:
                logits = talk.answers["test"].logits
                if logits.shape == (len(order), 10):
                    trained.claimed = torch.empty_like(logits)
                    trained.claimed[order] = logits
            if trained.claimed is None:
                return None
        return score

    def _run(self, task: Task, rows: list[Epoch], train_score: Score, trained: Trained) -> Run:
        structure = json.dumps(self.examined.structure).encode()
        return Run(
            name=self.submission.title,
            parameters=self.parameters,
            seed=task.seed,
            recipe=task.recipe,
            network=hashlib.sha256(structure).hexdigest()[:16],
            data=checksum(*self.sets.by_split[task.evaluated_on]),
            environment={**environment(CPU, task.recipe), "threads": self.threads},
            epochs=tuple(rows),
            train_score=train_score,
            evaluated_on=task.evaluated_on,
            stopped=trained.why[:300],
        )


def _plain(recipe: Recipe) -> dict:
    """The recipe as changes to `Recipe()` that `study.changes.changed` takes."""
    values = asdict(recipe)
    values["schedule"] = values["schedule"] or "constant"
    return values
