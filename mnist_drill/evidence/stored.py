"""The stored runs of the course's studies, as JSON in this folder.

Only the commands `evidence`, `compare --store`, `bench` and `study throughput`, and `tests/inputs/judged.py`, write
here. The notebooks read the stage before their own and the ablations of what they choose, the rendered pages the spread
over seeds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError
from mnist_drill.networks import definition
from mnist_drill.runs import FORMAT, Run
from mnist_drill.stages import NETWORKS
from mnist_drill.storage.files import read_json, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnist_drill.recipes import Recipe

FOLDER = Path(__file__).parent


def load_runs(name: str, recipe: Recipe | None = None) -> list[Run]:
    """The stored runs of a study, by row and seed; none if there is no evidence yet. With a `recipe`, those of it
    and, where the study is named after a network of the course, of that network as it is now.

    Raises `DrillError` for another kind of file, and for one of another format.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return []

    def runs(content: dict | list) -> list[Run]:
        if isinstance(content, list) or content.get("format") != FORMAT:
            raise DrillError(
                f"{path} is of another format than {FORMAT}: remove it, and `evidence {name}` trains its runs again"
            )
        return [Run.from_dict(values) for values in content["runs"]]

    found = read_json(path, runs, "runs")
    if recipe is None:
        return found
    network = definition(NETWORKS[name].network()) if name in NETWORKS else None
    return [run for run in found if run.recipe == recipe and network in (None, run.network)]


def load_study(name: str) -> dict[str, list[Run]]:
    """The stored runs of each row of a study that has any, in the order of the study."""
    study: dict[str, list[Run]] = {}
    for run in load_runs(name):
        study.setdefault(run.name, []).append(run)
    return study


def store(name: str, run: Run, rows: Iterable[str]) -> None:
    """Adds a run to the stored ones of a study of these rows, in place of one of the same row and seed."""
    order = list(rows)
    others = [old for old in load_runs(name) if (old.name, old.seed) != (run.name, run.seed) and old.name in order]
    runs = sorted([run, *others], key=lambda run: (order.index(run.name), run.seed))
    lines = ",\n".join(json.dumps(run.to_dict()) for run in runs)
    write_atomically(FOLDER / f"{name}.json", f'{{"format": {FORMAT}, "runs": [\n{lines}\n]}}\n')
