"""Reading JSON and TOML, and writing files so that nothing half-written is ever left under their name."""

from __future__ import annotations

import dataclasses
import json
import os
import reprlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from mnist_drill.errors import DrillError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable

Content = TypeVar("Content")


def ensure_writable(folder: str | Path) -> None:
    """Makes `folder` where it is missing. Raises `DrillError` when that, or a file in it, cannot be made."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise DrillError(f"cannot write to folder {folder}: {error.strerror}; choose another one") from None


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Writes `content` to a temporary file beside `path` and renames it; makes the folder where it is missing.

    Raises `DrillError` when the folder or the file cannot be written; what stood at `path` is then unchanged.
    """
    path = Path(path)
    # The name of a file may hold what is no text.
    content = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the file from other users
        os.replace(temporary, path)
    except OSError as error:
        raise DrillError(f"cannot write {path}: {error.strerror}; choose a folder that can be written to") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def read_json(path: str | Path, make: Callable[[Any], Content], what: str, advice: str = "") -> Content:
    """What `make` makes of the values in a JSON file.

    Raises `DrillError` for a file that cannot be read, and for one that does not hold `what`: where `make` raises
    KeyError, TypeError, ValueError, AttributeError or OverflowError. `advice` says what to do then.
    """
    try:
        return make(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror}{advice and '; '}{advice}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise DrillError(
            f"{path} does not hold {what} ({type(error).__name__}: {error}){advice and '; '}{advice}"
        ) from None


def check_format(content: dict, read_here: int, advice: str = "") -> None:
    """Raises ValueError unless the content of a file says that it has the format that is read here."""
    if content.get("format") != read_here:
        raise ValueError(f"its format is not {read_here}, which is read here{advice and ': '}{advice}")


def read_text(path: Path) -> str:
    """The text in a file, in UTF-8, without a byte order mark. Raises `DrillError` for a file that cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise DrillError(f"cannot read {path}: save it in UTF-8 ({error})") from None


def read_toml(path: Path) -> dict:
    """The values in a TOML file. Raises `DrillError` for a file that cannot be read."""
    text = read_text(path)
    try:
        values = tomllib.loads(text)
        str(
            values
        )  # no message could hold a whole number, written to base 16, of more digits than Python makes text of
        return values
    except (ValueError, RecursionError) as error:
        raise DrillError(f"cannot read {path}: {error}") from None


def dataclass_of(kind: type[Content], values: dict) -> Content:
    """A dataclass from plain values by name, each of the type that its field says; a whole number is a float, too.

    Raises TypeError for a value of another type, and for a name too much or too few.
    """
    for field in dataclasses.fields(kind):
        if field.name in values and not _is(values[field.name], field.type):
            raise TypeError(f"{field.name} is {reprlib.repr(values[field.name])}")
    return kind(**values)


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool):  # which Python takes for a whole number
        return wanted is bool
    if wanted is float:
        wanted = float | int
    return isinstance(value, get_origin(wanted) if get_origin(wanted) in (dict, tuple) else wanted)
