"""A study whose rows Optuna chooses: a source of work that asks its sampler for each row, and prunes rows by seed.

Each trial is a row. Its runs are trained seed by seed, whole, and stored as those of any study, and its value is the
mean of their last validation losses. A trial that the pruner finds worse than others after as many seeds is given no
further ones. Optuna's storage, a journal in the study's folder, has the trials; what was trained is looked up in the
folder, so that a run is trained once whatever happens to either.
"""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from tqdm import tqdm

from mnist_drill.errors import DrillError
from mnist_drill.storage.files import ensure_writable
from mnist_drill.study import search
from mnist_drill.study.plan import Study, Task, identities, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.runs import Run
    from mnist_drill.study.folder import Folder
    from mnist_drill.study.work import Work

MOST_IMPOSSIBLE = 20  # draws in a row that cannot be trained, before the search ends
LEFT_OUT = "left out"  # Optuna's note of why a draw cannot be trained


@dataclass
class Trial:
    """A trial of Optuna's that has not ended."""

    of_optuna: object
    name: str  # of its row
    known: int = 0  # seeds that Optuna has been told of
    losses: list[float] = field(default_factory=list)


class Sampled:
    """A source of work whose rows Optuna's sampler draws from the ranges of the table `random`.

    `read` is the study of a file, given how to draw rows, and `checksum` that of its data. Raises `DrillError` for a
    study that cannot be searched.
    """

    def __init__(self, read: Callable[[search.Draw], Study], folder: Folder, checksum: str):
        self.read, self.folder, self.checksum = read, folder, checksum
        self.samples = 0
        first, decided = self._first()
        self.seeds = first.seeds
        if not self.samples or len(first.rows) > 1:
            raise DrillError("--search optuna needs a file with a table `random`, and no `rows`")
        if first.evaluated_on != "validation":
            raise DrillError('nothing is chosen on the test set: --search optuna needs evaluated_on = "validation"')
        self.study = Study({}, first.seeds)
        self.identities: dict[str, dict] = {}
        ((name, row),) = first.rows.items()
        self.runs = self.samples * len(self.seeds)
        self.epochs = self.runs * row.recipe.epochs
        self.under_way: dict[tuple[str, int], list[Trial]] = {}
        self.ready: deque[Trial] = deque()
        # With the ranges, a row that is drawn from them says all that decides the trials.
        decided_by = {"table": repr(self.table), "row": decided[name], "seeds": self.seeds}
        self._open(key_of(decided_by))

    def __call__(self) -> Work | None:
        while self.ready or self._drawn_so_far() < self.samples:
            trial = self.ready.popleft() if self.ready else self._ask()
            task = Task(trial.name, self.study.rows[trial.name], self.seeds[len(trial.losses)], self.study.evaluated_on)
            waiting = self.under_way.setdefault((task.name, task.seed), [])
            waiting.append(trial)
            if len(waiting) > 1:  # two trials of the same values
                continue
            run = self.folder.find(task)
            if run is None:
                return (task,)
            self._tell(task, run)
        return None

    def store(self, task: Task, run: Run) -> None:
        """Stores a finished run, and tells Optuna."""
        self.folder.store(task, run)
        self._tell(task, run)

    @property
    def result(self) -> str:
        """How many trials there are, and the best one."""
        trials = self.optuna.trials
        states = [trial.state.name for trial in trials if not _is_left_out(trial)]
        text = f"{len(states)} trials, {states.count('PRUNED')} of them pruned"
        if left_out := len(trials) - len(states):
            text += f"; {left_out} other draws could not be trained"
        if "COMPLETE" in states and math.isfinite(self.optuna.best_value):
            name, _ = self._drawn(self.optuna.best_trial)
            text += f"; lowest mean validation loss {self.optuna.best_value:.4f}: {name}"
        return text

    def _first(self) -> tuple[Study, dict[str, dict]]:
        """The study with the first draw that can be trained in place of the random search, and what decides it."""
        for draws in range(1, MOST_IMPOSSIBLE + 1):
            try:
                first = self.read(partial(self._last_of, draws))
                return first, identities(first, self.checksum) if len(first.rows) == 1 else {}
            except DrillError as error:
                if not self.samples:  # nothing was drawn
                    raise
                fault = error
        raise _none_possible(fault)

    def _last_of(self, draws: int, table: dict, samples: int, seed: int) -> search.Drawn:
        rows = search.drawn(table, draws, seed)  # which checks the ranges
        self.table, self.samples, self.seed = table, samples, seed
        return rows[-1:]

    def _open(self, name: str) -> None:
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError:
            raise DrillError("--search optuna needs Optuna: pip install 'optuna>=4.1'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        ensure_writable(self.folder.path)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(self.folder.path / "optuna_journal.log")))
        self.optuna = optuna.create_study(storage=storage, study_name=name, direction="minimize", load_if_exists=True)
        there = self.optuna.trials
        # Another seed than before, or a resumed search would draw again what it has drawn.
        self.optuna.sampler = optuna.samplers.TPESampler(seed=self.seed + len(there))
        self.optuna.pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
        self.pruned = optuna.trial.TrialState.PRUNED
        for frozen in there:
            if frozen.state.is_finished():
                if not _is_left_out(frozen):
                    self._add(frozen)
            elif trial := self._added(optuna.trial.Trial(self.optuna, frozen._trial_id)):
                trial.known = len(frozen.intermediate_values)
                self.ready.append(trial)
        self.folder.begin(self.study, self.identities)

    def _drawn_so_far(self) -> int:
        return sum(not _is_left_out(trial) for trial in self.optuna.get_trials(deepcopy=False))

    def _ask(self) -> Trial:
        for _ in range(MOST_IMPOSSIBLE):
            if trial := self._added(self.optuna.ask()):
                self.folder.describe(self.study, self.identities)
                return trial
        raise _none_possible(self.fault)

    def _added(self, of_optuna) -> Trial | None:
        """As `_add`; a draw that cannot be trained is left out and counts as pruned, from which the sampler learns."""
        try:
            return self._add(of_optuna)
        except DrillError as error:
            self.fault = error
            of_optuna.set_user_attr(LEFT_OUT, str(error))
            self.optuna.tell(of_optuna, state=self.pruned)
            tqdm.write(f"left out: {error}", file=sys.stderr)
            return None

    def _add(self, of_optuna) -> Trial:
        """The trial, its row added to the study."""
        made = self.read(lambda *_: [self._drawn(of_optuna)])
        ((name, row),) = made.rows.items()
        if name not in self.identities:
            self.identities |= identities(made, self.checksum)
            self.study = Study(self.study.rows | {name: row}, self.seeds)
        return Trial(of_optuna, name)

    def _drawn(self, of_optuna) -> tuple[str, dict]:
        """The row of a trial: its values, drawn by the sampler or, of an earlier trial, looked up."""
        return search.row_of({path: _suggested(of_optuna, path, x) for path, x in search.leaves(self.table).items()})

    def _tell(self, task: Task, run: Run) -> None:
        loss = math.inf if run.stopped else run.last.test_loss
        for trial in self.under_way.pop((task.name, task.seed)):
            trial.losses.append(loss)
            seen, mean = len(trial.losses), fmean(trial.losses)
            if seen > trial.known:
                trial.of_optuna.report(mean, seen)
            if seen == len(self.seeds):
                self.optuna.tell(trial.of_optuna, mean)
            elif trial.of_optuna.should_prune():
                self.optuna.tell(trial.of_optuna, state=self.pruned)
            else:
                self.ready.append(trial)


def _is_left_out(trial) -> bool:
    return LEFT_OUT in trial.user_attrs


def _none_possible(fault: DrillError) -> DrillError:
    return DrillError(f"{MOST_IMPOSSIBLE} draws in a row cannot be trained: change the ranges. The last: {fault}")


def _suggested(trial, path: search.Path, choice: list | dict) -> object:
    name = ".".join(path)
    if isinstance(choice, list):
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in choice]))
    low, high, log = choice["low"], choice["high"], choice.get("log", False)
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return search.rounded(trial.suggest_float(name, low, high, log=log), low, high)
