"""The errors that a user of the course can fix."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class DrillError(Exception):
    """Bad input. Its message is one line that names what is wrong and what to do; the command ends with status 2."""


class Interrupted(Exception):
    """The user ended a training. Its message is one line that says what was kept; the command ends with status 130."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean NAME? ` with the known name that is closest to a mistyped one; empty where none is close."""
    close = get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""
