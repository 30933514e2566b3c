"""Training the missing runs of one of the course's studies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_drill import data
from mnist_drill.errors import unknown
from mnist_drill.evidence.stored import load_runs, store
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.study.execution import execute, executor_for
from mnist_drill.study.plan import sets_of
from mnist_drill.study.work import Listed
from mnist_drill.train import require_finished

if TYPE_CHECKING:
    from mnist_drill.runs import Run
    from mnist_drill.study.plan import Task


def check_name(name: str) -> None:
    """Raises `DrillError` unless `name` is one of `STUDIES`."""
    if name not in STUDIES:
        raise unknown("evidence", name, STUDIES)


def collect(name: str, seeds: int | None = None, device: str = "auto", jobs: int = 1) -> None:
    """Trains the missing runs of a study, storing each as soon as it is finished, under a bar with the time left.

    Each row has the seeds from 1 to `seeds`, by default the study's. A stored run counts if its recipe, its network,
    its data and its split are still the study's; others are trained again. `jobs` is the number of parallel jobs: on a
    CPU each has its share of the threads, so that weights differ in the last decimals from those of one job.
    """
    study = STUDIES[name]
    if seeds is not None:
        study = replace(study, seeds=tuple(range(1, seeds + 1)))
    checksum = data.checksum(*sets_of(study.evaluated_on))
    definitions = {label: row.network.checked() for label, row in study.rows.items()}
    there = {
        (run.name, run.seed)
        for run in load_runs(name)
        if run.name in study.rows
        and run.repeats(study.rows[run.name].recipe, definitions[run.name], checksum, study.evaluated_on)
    }
    missing = [task for task in study.tasks() if (task.name, task.seed) not in there]

    def keep(task: Task, run: Run) -> None:
        store(name, require_finished(run), study.rows)

    execute(Listed(missing), executor_for(device, jobs), keep, name)
