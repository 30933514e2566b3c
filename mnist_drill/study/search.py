"""A grid of values, and values drawn at random: rows of a study that nobody has to write out."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

from mnist_drill.errors import DrillError, unknown

Path = tuple[str, ...]  # the keys that lead to a value
Drawn = list[tuple[str, dict]]  # rows by name
Draw = Callable[[dict, int, int], Drawn]  # as `drawn`


def grid(values: dict) -> Drawn:
    """Each combination of the lists in a table: its name, and the table with one value in place of each list."""
    lists = leaves(values)
    for path, choices in lists.items():
        if not isinstance(choices, list) or not choices:
            raise DrillError(f"{'.'.join(path)} of the grid has to be a list of values, not {choices!r}")
    return [row_of(dict(zip(lists, chosen, strict=True))) for chosen in itertools.product(*lists.values())]


def count(values: dict) -> int:
    """The number of rows that `grid` makes."""
    return math.prod(len(choices) for choices in leaves(values).values() if isinstance(choices, list))


def drawn(values: dict, samples: int, seed: int) -> Drawn:
    """As many combinations drawn at random: from each list a value, from each range of `low` and `high` a number.

    A range of whole numbers, both ends included, gives whole numbers, any other a number of four digits; with `log` it
    is drawn on a logarithmic scale. More samples begin with the same ones. A combination that is drawn again is left
    out.
    """
    choices = leaves(values)
    generator = random.Random(seed)
    rows = {}
    for _ in range(samples):
        # Only `random` itself is the same in every version of Python.
        name, row = row_of({path: _draw(path, choice, generator.random()) for path, choice in choices.items()})
        rows[name] = row
    return list(rows.items())


def _draw(path: Path, choice: object, share: float) -> object:
    """The value at a `share` of a list or a range, from 0 to below 1."""
    where = f"{'.'.join(path)} of the random search"
    if isinstance(choice, list) and choice:
        return choice[int(share * len(choice))]
    if not isinstance(choice, dict):
        raise DrillError(f"{where} has to be a list of values or a range {{low = …, high = …}}, not {choice!r}")
    for key in choice:
        if key not in ("low", "high", "log"):
            raise unknown(f"key of {where},", key, ("low", "high", "log"))
    low, high, log = choice.get("low"), choice.get("high"), choice.get("log", False)
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in (low, high)):
        raise DrillError(f"{where} needs low and high, two numbers, not {low!r} and {high!r}")
    if not isinstance(log, bool) or low > high or (log and low <= 0):
        raise DrillError(f"{where}: low has to be at most high, log true or false, and low above 0 where it is true")
    whole = isinstance(low, int) and isinstance(high, int)
    ends = (low, high + 1) if whole else (low, high)
    value = ends[0] * (ends[1] / ends[0]) ** share if log else ends[0] + (ends[1] - ends[0]) * share
    return min(math.floor(value), high) if whole else rounded(value, low, high)


def rounded(value: float, low: float, high: float) -> float:
    """A number of four digits, or an end of the range that rounding would leave."""
    return min(max(float(f"{value:.4g}"), low), high)


def leaves(values: dict, path: Path = ()) -> dict[Path, object]:
    """The lists and ranges in a table by the keys that lead to them."""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict) and not {"low", "high"} & value.keys():
            found |= leaves(value, (*path, key))
        else:
            found[(*path, key)] = value
    return found


def row_of(chosen: dict[Path, object]) -> tuple[str, dict]:
    """The name of a row and its table, from the values that were chosen for it."""
    ends = [path[-1] for path in chosen]
    named = {path: path[-1] if ends.count(path[-1]) == 1 else ".".join(path) for path in chosen}
    name = ", ".join(_written(named[path], value) for path, value in chosen.items())
    row: dict = {}
    for path, value in chosen.items():
        table = row
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = value
    return name, row


def _written(key: str, value: object) -> str:
    if key == "network":
        return str(value)
    if isinstance(value, dict):
        value = " ".join(_written(inner, each) for inner, each in value.items())
    return f"{key} {value}"
