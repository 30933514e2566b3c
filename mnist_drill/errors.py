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


def unknown(what: str, name: str, known: Iterable[str], choices: str = "") -> DrillError:
    """The error for a name that is not among the `known` ones: which is closest, if any is close, and the choices."""
    known = list(known)
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return DrillError(f"unknown {what} {name!r}: {hint}Choose one of {choices or ', '.join(known)}")
