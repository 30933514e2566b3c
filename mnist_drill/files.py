"""Reading JSON, and writing files so that nothing half-written is ever left under their name."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mnist_drill.errors import DrillError

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
    ensure_writable(path.parent)
    content = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
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


def read_json(path: str | Path, make: Callable[[Any], Content], what: str) -> Content:
    """What `make` makes of the values in a JSON file.

    Raises `DrillError` for a file that cannot be read, and for one that does not hold `what`: where `make` raises
    KeyError, TypeError, ValueError or AttributeError.
    """
    try:
        return make(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DrillError(f"{path} does not hold {what} ({type(error).__name__}: {error})") from None
