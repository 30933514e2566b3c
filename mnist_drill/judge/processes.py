"""The judge's side of a submission's process: starting it, talking with it, and why it ended."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mnist_drill
from mnist_drill.errors import DrillError
from mnist_drill.judge import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from mnist_drill.judge.program import Program
    from mnist_drill.judge.rules import Limits

FIRST_USER = 64_000  # as root: each submission's process is a user of its own, from this number
USERS = 1_000
PATIENCE = 20.0  # seconds that a guard may be late
GRACE = 3.0  # seconds between a process's last word and its end
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "SYSTEMROOT")  # of the environment's variables


@dataclass(frozen=True)
class Ending:
    """How a process ended: the limit that it reached, or its exit status, and what it printed."""

    reason: str = ""  # "time", "memory", "processes", "output", "judge", or empty where it ended by itself
    status: int | None = None
    output: str = ""


class Process:
    """A submission's process: what it answers, and in the end how it ended."""

    def __init__(self, connection: socket.socket, guard: socket.socket, seconds: float):
        self.connection, self.guard, self.ending = connection, guard, None
        self.silent = False  # whether it says nothing more
        self.damaged = False  # whether it said what is no message
        connection.settimeout(seconds + PATIENCE)
        guard.settimeout(PATIENCE)

    def ask(self, head: dict, tensors: dict[str, Tensor] | None = None) -> None:
        """Gives it something to do; if it has ended, `answers` ends at once."""
        with suppress(OSError):
            protocol.send(self.connection, head, tensors)

    def answer(self) -> tuple[dict, dict[str, Tensor]] | None:
        """What it says next; None where it says nothing more, or what is no message."""
        try:
            return protocol.receive(self.connection)
        except EOFError:
            self.silent = True
        except protocol.Damaged:
            self.damaged = True
        except OSError:  # it says nothing for longer than it may
            pass
        return None

    def carry_out(self, program: Program, on: str) -> tuple[dict, dict[str, Tensor]]:
        """What it says of a program that it is to carry out on the images of that name; why, as `not_replayable`, where
        it cannot."""
        try:
            self.ask({"on": on, "program": program.head()}, program.tensors())
        except (DrillError, RecursionError) as error:  # it was told in fewer bytes than it takes to tell it again
            return {"not_replayable": str(error)}, {}
        return self.answer() or ({"not_replayable": "it takes too much time or memory to carry out"}, {})

    def stop(self) -> None:
        """Has its guard end it, from any thread; whoever listens to it hears that there is no more."""
        with suppress(OSError):
            self.guard.shutdown(socket.SHUT_WR)

    def end(self) -> Ending:
        """Ends it, if it has not ended by itself, and waits until nothing of it is left."""
        if self.ending is not None:
            return self.ending
        self.ending = self._end()
        return self.ending

    def _end(self) -> Ending:
        self.connection.close()
        with suppress(OSError):
            if self.silent:  # it has ended or is about to: the guard shall say how
                select.select([self.guard], [], [], GRACE)
            self.guard.shutdown(socket.SHUT_WR)
        content = b""
        try:
            while part := self.guard.recv(1 << 16):
                content += part
            return Ending(**json.loads(content))
        except (OSError, ValueError, TypeError):
            return Ending("guard")
        finally:
            self.guard.close()


class Zygote:
    """Starts submissions' processes, from any thread; a context, at whose end none of them is left.

    `hidden` are the folders that they shall not see.
    """

    def __init__(self, hidden: Sequence[Path] = ()):
        if sys.platform == "win32":
            raise DrillError("the judge needs Linux or macOS: on Windows run it in the container, see docs/judge.md")
        self.hidden = [str(path.resolve()) for path in hidden]
        self.lock, self.started, self.process = threading.Lock(), 0, None
        self.running: set[Process] = set()
        self.stopped = False
        self.folder = Path(tempfile.mkdtemp(prefix="mnist-drill-judge-"))
        self.folder.chmod(0o711)
        self._start()

    def __enter__(self) -> Zygote:
        return self

    def stop(self) -> None:
        """Ends all processes, and starts none any more: the judge was interrupted."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.stop()

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.connection.close()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def pool(self, threads: int) -> Iterator[ThreadPoolExecutor]:
        """Threads that wait for processes. Ctrl-C ends these, since a pool waits for its threads."""
        with ThreadPoolExecutor(threads) as pool:
            try:
                yield pool
            except BaseException:
                self.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @contextmanager
    def start(self, limits: Limits, seconds: float, threads: int = 1) -> Iterator[Process]:
        """A new process, which is ended after that many seconds, and at the end of the context."""
        with self.lock:
            self.started += 1
            number = self.started
        folder = self.folder / str(number)
        folder.mkdir()
        folder.chmod(0o777)
        request = {
            "folder": str(folder), "hidden": self.hidden, "seconds": seconds, "threads": threads,
            "user": FIRST_USER + number % USERS if os.getuid() == 0 else None,
            "packages": [str(Path(mnist_drill.__file__).parent)], "memory_gb": limits.memory_gb,
            "processes": limits.processes, "output_kb": limits.output_kb,
        }  # fmt: skip
        (connection, theirs), (guard, guards) = socket.socketpair(), socket.socketpair()
        with theirs, guards:
            self._request(request, [theirs.fileno(), guards.fileno()])
        process = Process(connection, guard, seconds)
        with self.lock:
            self.running.add(process)
        if self.stopped:
            process.stop()
        try:
            yield process
        finally:
            process.end()
            with self.lock:
                self.running.discard(process)
            shutil.rmtree(folder, ignore_errors=True)

    def _request(self, request: dict, descriptors: list[int]) -> None:
        with self.lock:
            for attempt in range(2):
                try:
                    self._wait()
                    socket.send_fds(self.connection, [json.dumps(request).encode()], descriptors)
                    return
                except OSError:
                    if attempt:
                        raise DrillError("the process that starts submissions does not answer") from None
                    self._start()

    def _start(self) -> None:
        """Starts the process that forks; it imports torch while the judge does other things."""
        self.connection, theirs = socket.socketpair()
        with theirs:
            paths = [
                os.path.abspath(path) for path in [str(Path(mnist_drill.__file__).parents[1]), *sys.path[1:]] if path
            ]
            program = (
                # A terminal sends Ctrl-C to all, and the judge ends this.
                "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
                f"import sys; sys.path += [path for path in {paths!r} if path not in sys.path]; "
                f"from mnist_drill.judge.zygote import main; main({theirs.fileno()})"
            )
            environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],
                pass_fds=[theirs.fileno()], cwd=self.folder, stdin=subprocess.DEVNULL,
                env={**environment, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
            )  # fmt: skip

    def _wait(self) -> None:
        """Until it is ready for a request."""
        if not self.connection.recv(1):
            raise OSError("gone")
