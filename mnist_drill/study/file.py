"""Reading a study from a file: TOML, or Python that defines a dictionary `study` with the same keys."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError, unknown
from mnist_drill.models import check_name, recipe_for
from mnist_drill.recipes import PLAIN
from mnist_drill.storage.files import read_text, read_toml
from mnist_drill.study import search
from mnist_drill.study.changes import changed
from mnist_drill.study.network import Network, in_one_line
from mnist_drill.study.plan import SETS, Row, Study
from mnist_drill.training import LARGEST_SEED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnist_drill.recipes import Recipe

IN_ROW = ("network", "arguments", "recipe", "recipe_of")
KEYS = (*IN_ROW, "rows", "grid", "random", "seeds", "evaluated_on", "baseline")
SEEDS = 3  # unless the file says another number
MOST_RUNS = 1_000_000


def read_study(path: Path, seeds: int | None = None) -> Study:
    """The study in a file, with the random seeds from 1 to `seeds` if that is given.

    Raises `DrillError`, which names the file and the key, for whatever cannot be a study. No network is built yet.
    """
    return reader(path, seeds)(search.drawn)


def reader(path: Path, seeds: int | None = None) -> Callable[[search.Draw], Study]:
    """As `read_study`, for others to draw the rows of the random search: the study, given how they are drawn.

    The file and those of its networks are read once, however often they are drawn.
    """
    values = read_toml(path) if path.suffix != ".py" else _defined(path)
    texts: dict[Path, str] = {}

    def study(draw: search.Draw) -> Study:
        with in_one_line(str(path)):
            _check_keys(values, KEYS)
            evaluated_on = values.get("evaluated_on", SETS[0])
            if evaluated_on not in SETS:
                raise unknown("split in evaluated_on,", str(evaluated_on), SETS)
            numbers = _seeds(values.get("seeds", SEEDS) if seeds is None else seeds)
            rows = _rows(values, path.parent, len(numbers), texts, draw)
            baseline = values.get("baseline", "")
            if not isinstance(baseline, str):
                raise DrillError(f'baseline is the name of a row, in quotation marks: baseline = "{baseline}"')
            if baseline and baseline not in rows:
                raise unknown("row in baseline,", baseline, rows)
            return Study(rows, numbers, evaluated_on, baseline)

    return study


def _defined(path: Path) -> dict:
    """The dictionary `study` that a Python file defines."""
    if not path.is_file():
        raise DrillError(f"cannot read {path}: there is no such file")
    with in_one_line(f"cannot read {path}", str(path)):
        content = runpy.run_path(str(path)).get("study")
    if not isinstance(content, dict):
        raise DrillError(f"{path} has to define a dictionary `study`")
    return content


def _seeds(value: object) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_RUNS:
        return tuple(range(1, value + 1))
    if isinstance(value, list) and value and all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in value):
        return tuple(dict.fromkeys(value))
    raise DrillError(f"seeds is a number from 1 to {MOST_RUNS:,}, or a list of seeds from 0, not {value!r}")


def _rows(values: dict, folder: Path, seeds: int, texts: dict[Path, str], draw: search.Draw) -> dict[str, Row]:
    """The rows that are written out, each with each combination of the grid or of the random search."""
    written = _table(values, "rows") or {"": {}}
    for name in written:
        with in_one_line(f"row {name!r}"):
            _check_keys(_table(written, name), IN_ROW)
    searched = _searched(values, len(written) * seeds, draw)
    shared = {key: values[key] for key in IN_ROW if key in values}
    rows: dict[str, Row] = {}
    for name, row in written.items():
        for found, change in searched:
            label = ", ".join(filter(None, (name, found)))
            with in_one_line(f"row {label!r}") if label else in_one_line("its row"):
                made = _row([shared, row, change], folder, texts)
            if not label.isprintable():
                raise DrillError(f"the name of a row has to be printable: {label!r}")
            rows[label or str(made.network)] = made
    if len(rows) < len(written) * len(searched):
        raise DrillError("two rows have the same name")
    return rows


def _searched(values: dict, others: int, draw: search.Draw) -> list[tuple[str, dict]]:
    """The combinations that every row is trained with; one that changes nothing, where there is no search."""
    if "grid" in values and "random" in values:
        raise DrillError("it has a grid and a random search: choose one")
    table = dict(_table(values, "random" if "random" in values else "grid"))
    searched = ("network", "arguments", "recipe")
    if "random" not in values:
        _check_keys(table, searched)
        _check_number(search.count(table) * others)
        return search.grid(table)
    _check_keys(table, (*searched, "samples", "seed"))
    samples, seed = table.pop("samples", None), table.pop("seed", 1)
    if type(samples) is not int or samples < 1 or type(seed) is not int:
        raise DrillError(f"a random search needs samples, a number from 1, and a whole number as seed: not {samples!r}")
    _check_number(samples * others)
    return draw(table, samples, seed)


def _check_number(runs: int) -> None:
    if runs > MOST_RUNS:
        raise DrillError(f"it asks for {runs:,} runs, and the most are {MOST_RUNS:,}")


def _row(layers: list[dict], folder: Path, texts: dict[Path, str]) -> Row:
    """The row that several tables make, of which the later ones have precedence."""
    merged = {key: value for layer in layers for key, value in layer.items()}
    if not isinstance(merged.get("network"), str):
        raise DrillError('it needs a network: a name that `models` lists, or "file.py:Name"')
    arguments = {key: value for layer in layers for key, value in _table(layer, "arguments").items()}
    network = replace(_network(merged["network"], folder, texts), arguments=_checked(arguments))
    recipe = _recipe(network, merged.get("recipe_of"))
    for layer in layers:
        recipe = changed(recipe, _table(layer, "recipe"))
    return Row(network, recipe)


def _network(named: str, folder: Path, texts: dict[Path, str]) -> Network:
    file, _, name = named.rpartition(":")
    if not file:
        if named.endswith(".py"):
            raise DrillError(f'network = "{named}" is a file: name its class or function, too, as "{named}:Name"')
        check_name(named)
        return Network(named)
    path = folder / file
    if path not in texts:
        texts[path] = read_text(path)
    return Network(name, file=file, text=texts[path])


def _recipe(network: Network, name: object) -> Recipe:
    """The recipe that the changes begin with: that of the network called `name`, or the network's own."""
    if name is not None:
        check_name(str(name))
        return recipe_for(str(name))
    return PLAIN if network.file else recipe_for(network.name)


def _checked(arguments: dict) -> dict:
    """The arguments of a network, if they are plain data."""
    try:
        return json.loads(json.dumps(arguments))
    except (TypeError, ValueError) as error:
        raise DrillError(f"arguments are numbers, truth values, texts, lists and tables: {error}") from None


def _table(values: dict, key: str) -> dict:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise DrillError(f"{key} has to be a table, not {table!r}")
    return table


def _check_keys(values: dict, known: tuple[str, ...]) -> None:
    for key in values:
        if key not in known:
            raise unknown("key", str(key), known)
