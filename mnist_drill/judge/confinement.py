"""What a submission's process is shut out of, as far as the system allows: network, data, other processes, its owner.

This limits a process; it is no sandbox. Whoever has to fear the code that is judged runs the judge in a container.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

LINUX = sys.platform.startswith("linux")
# Of <linux/sched.h>, <linux/mount.h> and <linux/prctl.h>; Python has `os.unshare` from 3.12 only.
NEW_MOUNTS, NEW_USER, NEW_PROCESSES, NEW_NETWORK, NEW_IPC = 0x20000, 0x10000000, 0x20000000, 0x40000000, 0x08000000
NO_SUID, NO_DEVICES, NO_EXEC, RECURSIVE, PRIVATE = 2, 4, 8, 0x4000, 1 << 18
DIE_WITH_PARENT, NO_NEW_PRIVILEGES, ADOPT_ORPHANS = 1, 38, 36
CAPABILITIES = 0x20080522  # the version of the structures that `capset` takes
FOLDER_MB = 256  # that a submission may write to its folder
THREADS = 256  # of all of a submission's processes

_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def set_process_option(option: int, value: int = 1) -> None:
    """`prctl` on Linux; nothing elsewhere."""
    if LINUX:
        _libc.prctl(option, value, 0, 0, 0)


def separate() -> tuple[list[str], bool]:
    """Gives this process's children a network without devices, and numbers for processes of their own.

    Returns what is closed by that, in words, and whether they may mount file systems of their own.
    """
    if not LINUX:
        return [], False
    closed, owner, group = [], os.getuid(), os.getgid()
    if owner != 0 and _unshare(NEW_USER):
        with suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{owner} {owner} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    for space, words in ((NEW_NETWORK, "network"), (NEW_PROCESSES, "other processes"), (NEW_IPC, "shared memory")):
        if _unshare(space):
            closed.append(words)
    return closed, "other processes" in closed


def close_folders(folder: str, hidden: list[str]) -> list[str]:
    """Hides folders behind empty ones, and mounts a small one of its own at `folder`. What is closed, in words."""
    if not _unshare(NEW_MOUNTS) or not _mount(None, "/", None, RECURSIVE | PRIVATE):
        return []
    closed = []
    own = f"size={FOLDER_MB}m,mode=777"
    if _mount("tmpfs", folder, "tmpfs", NO_SUID | NO_DEVICES, own):
        closed.append("disk beyond its folder's size")
    there = [path for path in hidden if os.path.isdir(path)]
    if all([_mount("tmpfs", path, "tmpfs", NO_SUID | NO_DEVICES | NO_EXEC, "size=4k,mode=555") for path in there]):
        closed.append("data folder")
    if _mount("proc", "/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC):
        closed.append("what other processes do")
    return closed


def limit(memory_gb: float, seconds: float, threads: int) -> None:
    """Limits of this process that the system keeps: memory, seconds of CPU, files, and how much it may write."""
    used = _address_space()
    _set_limit(resource.RLIMIT_AS, used + int(memory_gb * 2**30)) if used else None
    _set_limit(resource.RLIMIT_CPU, int(seconds * threads) + 10)
    _set_limit(resource.RLIMIT_NOFILE, 256)
    _set_limit(resource.RLIMIT_FSIZE, FOLDER_MB << 20)
    _set_limit(resource.RLIMIT_CORE, 0)
    with suppress(OSError):  # where memory is short, this process is the first to go
        Path("/proc/self/oom_score_adj").write_text("1000")


def give_up_rights(user: int | None) -> list[str]:
    """Becomes that user, where this one is root, and can get no rights again. What is closed by that, in words."""
    closed = []
    if user is not None:
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            _set_limit(resource.RLIMIT_NPROC, THREADS)  # which holds for no root
            closed.append("files of others")
    set_process_option(NO_NEW_PRIVILEGES)
    if LINUX:
        _libc.capset((ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)())
    set_process_option(DIE_WITH_PARENT, 9)  # a change of user takes it back
    return closed


def readable_by_all(path: str) -> bool:
    """Whether any user can read what lies in a folder."""
    path = os.path.realpath(path)
    return all(os.stat(each).st_mode & 0o005 == 0o005 for each in (path, *map(str, Path(path).parents)))


def _address_space() -> int:
    """Bytes of this process's address space; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _set_limit(which: int, value: int) -> None:
    with suppress(OSError, ValueError):  # a lower one holds already
        resource.setrlimit(which, (value, value))


def _unshare(spaces: int) -> bool:
    return _libc.unshare(spaces) == 0 if LINUX else False


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> bool:
    texts = [text and text.encode() for text in (source, target, kind)]
    return _libc.mount(*texts, ctypes.c_ulong(flags), options and options.encode()) == 0
