"""Writing files so that nothing half-written is ever left under their name."""

import os
import tempfile
from pathlib import Path

from mnist_drill.errors import DrillError


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
