"""The folder of a study: `study.json`, what it asks for, and in `runs/` each finished run as a file of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError
from mnist_drill.runs import Run
from mnist_drill.storage.files import check_format, ensure_writable, read_json, write_atomically
from mnist_drill.study.plan import key_of

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_drill.study.plan import Study, Task

FORMAT = 1  # of study.json


@dataclass(frozen=True)
class Asked:
    """What the study in a folder asks for."""

    keys: dict[str, str]  # of each row by name the digest of what decides its runs
    seeds: tuple[int, ...]
    evaluated_on: str
    baseline: str


class Folder:
    """A folder of runs, each named by the digest of what decides its row, and its seed."""

    def __init__(self, path: Path):
        self.path, self.runs, self.description = path, path / "runs", path / "study.json"

    def begin(self, study: Study, identities: dict[str, dict]) -> list[Task]:
        """Writes down what the study asks for, and returns the tasks whose runs are not there.

        Runs are listed and not read; those of an earlier study of this folder stay.
        """
        ensure_writable(self.runs)
        self.describe(study, identities)
        there = self._files()
        return [task for task in study.tasks() if file_of(self.keys[task.name], task.seed) not in there]

    def describe(self, study: Study, identities: dict[str, dict]) -> None:
        """Writes down what the study asks for."""
        rows = {
            name: {"key": key_of(identity), "network": str(study.rows[name].network), "decided by": identity}
            for name, identity in identities.items()
        }
        content = {"format": FORMAT, "evaluated_on": study.evaluated_on, "baseline": study.baseline,
                   "seeds": study.seeds, "rows": rows}  # fmt: skip
        write_atomically(self.description, json.dumps(content, indent=1) + "\n")
        self.keys = {name: row["key"] for name, row in rows.items()}

    def store(self, task: Task, run: Run) -> None:
        """Writes a finished run of a task of the study that was begun, whole or not at all."""
        run.save(self.runs / file_of(self.keys[task.name], task.seed))

    def find(self, task: Task) -> Run | None:
        """The run of a task of the study that was begun, if it is there. Raises `DrillError` for a damaged file."""
        there = (self.runs / file_of(self.keys[task.name], task.seed)).exists()
        return self._load(self.keys[task.name], task.seed) if there else None

    def asked(self) -> Asked:
        """What the study asks for. Raises `DrillError` for a folder without a study, and for a damaged file."""
        if not self.description.exists():
            raise DrillError(f"{self.path} holds no study: `study FILE --out {self.path}` begins one")

        def read(content: dict) -> Asked:
            check_format(content, FORMAT)
            keys = {name: str(row["key"]) for name, row in content["rows"].items()}
            if not keys:
                raise ValueError("it has no rows")
            if content["baseline"] and content["baseline"] not in keys:
                raise ValueError("its baseline is none of its rows")
            return Asked(keys, tuple(content["seeds"]), str(content["evaluated_on"]), content["baseline"])

        return read_json(self.description, read, "a study", "the `study` command that made it writes it again")

    def load(self, asked: Asked) -> dict[str, list[Run]]:
        """The runs of each row, by seed: of all seeds that are there, and not of those alone that are asked for.

        Raises `DrillError` for a file that is damaged.
        """
        names = {key: name for name, key in asked.keys.items()}
        seeds: dict[str, list[int]] = {name: [] for name in asked.keys}
        for file in self._files():
            key, _, seed = file.removesuffix(".json").partition("-")
            if key in names and seed.isdecimal():
                seeds[names[key]].append(int(seed))
        return {name: [self._load(asked.keys[name], seed) for seed in sorted(found)] for name, found in seeds.items()}

    def _load(self, key: str, seed: int) -> Run:
        def read(values: dict) -> Run:
            run = Run.from_dict(values)
            if run.seed != seed:
                raise ValueError(f"its seed is {run.seed}")
            return run

        advice = "remove it, and the same `study` command trains it again"
        return read_json(self.runs / file_of(key, seed), read, "a run", advice)

    def _files(self) -> set[str]:
        return set(os.listdir(self.runs)) if self.runs.is_dir() else set()


def file_of(key: str, seed: int) -> str:
    """The name of a run's file."""
    return f"{key}-{seed}.json"
