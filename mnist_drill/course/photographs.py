"""What `predict` classifies correctly of photographs, as stored by `tests/inputs/judged.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_drill.course.tables import Table
from mnist_drill.evidence.stored import FOLDER
from mnist_drill.runs import environment_in
from mnist_drill.storage.files import check_format, read_json

if TYPE_CHECKING:
    from pathlib import Path

FILE = FOLDER / "photographs.json"
FORMAT = 1
ROW, EMPTY = "row", "empty"  # the kinds of pictures that do not have one digit, besides `SCRIBBLES`
SCRIBBLES = ("strokes", "zigzag", "blobs", "loops like writing", "cross", "scrawl")
NAMES = {
    ROW: "eight digits in a row, all of them right",
    EMPTY: "empty page, refused",
    **{kind: f"scribbles ({kind}), refused" for kind in SCRIBBLES},
}


def load(path: Path = FILE) -> dict:
    """The stored figures. Raises `DrillError` for a file that is missing or holds something else."""

    def read(content: dict) -> dict:
        check_format(content, FORMAT)
        for counts in content["kinds"].values():
            if not 0 <= counts["now"] <= counts["of"] or not 0 <= counts["before"] <= counts["of"]:
                raise ValueError("more are right than there are")
        needed = {key: content[key] for key in ("network", "accuracy", "kinds")}
        return {**needed, "environment": environment_in(content)}

    return read_json(path, read, "figures of photographs", "`python -m tests.inputs.judged` measures them")


def table(kinds: dict[str, dict[str, int]]) -> Table:
    """A row for each kind, in percent."""
    rows = [
        [NAMES.get(kind, kind), counts["of"],
         *(f"{100 * counts[which] / counts['of']:.1f}" for which in ("before", "now"))]
        for kind, counts in kinds.items()
    ]  # fmt: skip
    return Table(["kind", "pictures", "MNIST's preprocessing alone", "`predict`"], rows)
