"""A submission: a file of Python with a network, read and not executed, and the recipe in a TOML file beside it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError
from mnist_drill.recipes import Recipe
from mnist_drill.storage.files import read_text, read_toml
from mnist_drill.study.changes import changed

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = 1_000_000  # bytes of a file; the course's largest has a hundredth of it


@dataclass(frozen=True)
class Submission:
    """The text of a file, the name of the network in it, if one is given, and the recipe beside it, if there is one."""

    file: str
    text: str
    name: str = ""
    recipe: Recipe | None = None

    @property
    def title(self) -> str:
        return Path(self.file).stem

    @property
    def source(self) -> str:
        """A digest of all that decides what is judged."""
        recipe = json.dumps(self.recipe and asdict(self.recipe))
        return hashlib.sha256("\0".join((self.text, self.name, recipe)).encode()).hexdigest()[:16]

    def head(self, hidden: Iterable[str]) -> dict:
        """What a process is told of it."""
        return {"file": self.file, "name": self.name, "text": self.text, "hidden": list(hidden)}


def read_submission(path: Path, name: str = "") -> Submission:
    """The submission in a file. Raises `DrillError` for one that cannot be read, and for a recipe that cannot be."""
    if not path.is_file():
        raise DrillError(f"cannot read {path}: {'it is not a file' if path.exists() else 'there is no such file'}")
    if path.suffix == ".ipynb":
        raise DrillError(f"{path} is a notebook: put the line %%writefile network.py above its network, run that cell, "
                         "and hand in network.py")  # fmt: skip
    if path.stat().st_size > LARGEST:
        raise DrillError(f"{path} has {path.stat().st_size:,} bytes: a submission is a file of at most {LARGEST:,}")
    return Submission(in_text(path), read_text(path), name, _recipe(path.with_suffix(".toml")))


def in_text(path: Path) -> str:
    """The path as text that can be written to any file: a name from another system may hold what is none."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _recipe(path: Path) -> Recipe | None:
    """The recipe in a TOML file, as changes to `Recipe()` or, with `recipe_of`, to that of a network of the course."""
    if not path.is_file():
        return None
    from mnist_drill.models import check_name, recipe_for

    values = read_toml(path)
    base = values.pop("recipe_of", None)
    try:
        if base is not None:
            check_name(str(base))
        return changed(recipe_for(base) if base else Recipe(), values)
    except DrillError as error:
        raise DrillError(f"{path}: {error}") from None
