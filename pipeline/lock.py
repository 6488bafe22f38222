"""One build at a time: a lock file in the corpus that names host and process.

A lock of a process that is gone, on this host, is stale and taken over. On another host nobody can tell: the message
says which file to remove.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from stages import storage

NAME = "build.lock"


class Locked(RuntimeError):
    """Another build holds the corpus."""


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Hold the corpus while the block runs. Raises Locked."""
    uri = storage.join(root, NAME)
    mine = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}).encode()
    for _ in range(2):
        if _create(uri, mine):
            break
        _refuse_unless_stale(uri)
        storage.remove(uri)
    else:
        raise Locked(f"another build took {uri} just now")
    try:
        yield
    finally:
        storage.remove(uri)


def _create(uri: str, content: bytes) -> bool:
    """Create the file if it is not there: atomically on a disk; an object store has no such operation in pyarrow.fs."""
    if not storage.is_local(uri):
        if storage.exists(uri):
            return False
        storage.write_bytes(uri, content)
        return True
    os.makedirs(os.path.dirname(uri), exist_ok=True)
    temporary = f"{uri}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(content)
    try:
        os.link(temporary, uri)  # fails if it is there, and never shows a half-written lock
    except FileExistsError:
        return False
    finally:
        os.remove(temporary)
    return True


def _refuse_unless_stale(uri: str) -> None:
    try:
        holder = json.loads(storage.read_bytes(uri))
    except FileNotFoundError:
        return
    host, pid = holder.get("host"), holder.get("pid")
    if host == socket.gethostname() and _started(pid) != holder.get("started"):
        return
    raise Locked(f"a build on {host}, process {pid}, holds this corpus. If it is gone for good, remove {uri}")


def _started(pid: int) -> float | None:
    try:
        return round(psutil.Process(pid).create_time(), 2)
    except psutil.NoSuchProcess:
        return None
