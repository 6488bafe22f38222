"""One build at a time: a lock file in the corpus that names host and process.

A lock of a process that is gone, on this host, is stale and taken over. On another host nobody can tell: the message
says which file to remove. A process is told from a later one of the same number by the boot it belongs to and the
kernel ticks since then at which it started: neither moves when somebody sets the clock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from stages import storage

NAME = "build.lock"


class Locked(RuntimeError):
    """Another build holds the corpus."""


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Hold the corpus while the block runs. Raises Locked, and storage.Unusable where no lock can be written."""
    uri = storage.join(root, NAME)
    mine = json.dumps({**_here(), "pid": os.getpid(), "started": _started(os.getpid())}).encode()
    for _ in range(2):
        if _create(uri, mine):
            break
        _remove_if_stale(root)
    else:
        raise Locked(f"another build took {uri} just now")
    try:
        yield
    except BaseException:
        with suppress(storage.Unusable):  # what ended the block is what must be told
            storage.remove(uri)
        raise
    storage.remove(uri)


def _create(uri: str, content: bytes) -> bool:
    """Create the file if it is not there: atomically on a disk; an object store has no such operation in pyarrow.fs."""
    if not storage.is_local(uri):
        if storage.exists(uri):
            return False
        storage.write_bytes(uri, content)
        return True
    temporary = f"{uri}.{os.getpid()}"
    with storage.writing(uri):
        os.makedirs(os.path.dirname(uri), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    try:
        os.link(temporary, uri)  # fails if it is there, and never shows a half-written lock
    except FileExistsError:
        return False
    finally:
        os.remove(temporary)
    return True


def holder(root: str) -> dict[str, object] | None:
    """Who holds the corpus: host, pid, started. None where nobody does, or only a process that is gone."""
    try:
        return _alive(storage.read_bytes(storage.join(root, NAME)))
    except FileNotFoundError:
        return None


def _alive(content: bytes) -> dict[str, object] | None:
    """The holder that a lock file names; None for a process that is gone."""
    try:
        found: dict[str, object] = json.loads(content)
    except ValueError:  # nobody writes half a lock; somebody wrote into it by hand
        return {"host": "an unknown host", "pid": "unknown", "started": None}
    near = all(found.get(key) == value for key, value in _here().items())
    return None if near and _started(found.get("pid")) != found.get("started") else found


def _here() -> dict[str, str]:
    """Where a process number means something: the host, and the namespace of process numbers on it (containers)."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return {"host": socket.gethostname(), "namespace": namespace}


def _remove_if_stale(root: str) -> None:
    """Take a dead holder's lock away. Raises Locked for a live one.

    Of two that find the same stale lock one looks and removes after the other (flock on the folder), and so sees the
    new lock, instead of removing it.
    """
    where = storage.join(root, NAME)
    with ExitStack() as stack:
        if storage.is_local(root):
            folder = os.open(root, os.O_RDONLY)
            stack.callback(os.close, folder)
            with suppress(OSError):  # some network file systems have no flock
                fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            found = _alive(storage.read_bytes(where))  # read once: what is stale here, nobody else may remove
        except FileNotFoundError:  # its holder ended, or another took it over
            return
        if found is not None:
            raise Locked(
                f"a build on {found.get('host')}, process {found.get('pid')}, holds this corpus. "
                f"If it is gone for good, remove {where}"
            )
        storage.remove(where)


def _started(pid: object) -> str | None:
    """When a process of this host started, in a form that no change of the clock touches; None if it is gone."""
    if not isinstance(pid, int):
        return None
    with suppress(OSError, IndexError):
        with open(f"/proc/{pid}/stat") as file:
            ticks = file.read().rpartition(")")[2].split()[19]  # field 22: starttime, ticks since boot
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()}/{ticks}"
    with suppress(psutil.NoSuchProcess):  # no /proc: macOS keeps a start time that does not move
        return f"{psutil.Process(pid).create_time():.2f}"
    return None
