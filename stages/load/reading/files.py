"""Byte ranges of a release's files, wherever they lie.

In: the URL of a folder (a path, http, s3, gs ...: whatever fsspec opens). Out: bytes. Local files are read with pread.
Elsewhere ranges that lie near each other are fetched as one, several at a time; what fails is tried again; a server
that does not serve ranges is refused, since each sample would then cost its whole tar. With a cache each tar is fetched
once and then read from the disk. Nothing is open when a process is forked or a dataset is sent to a worker.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import fsspec

TRIES, FIRST_PAUSE = 5, 0.2  # s; each pause is twice the one before
TIMEOUT = 60.0  # s without an answer, http; ten times that in all, for a server that drips
TOGETHER = 64 * 1024  # bytes between ranges that are not worth a request of their own
AT_ONCE = 8  # requests
FILES = 256  # that are open at a time
CHUNK = 8 << 20  # bytes of a tar that is copied into the cache
T = TypeVar("T")
Range = tuple[str, int, int]  # file, offset, size


class Unreadable(OSError):
    """A file or range that could not be read; says which, and what was tried."""


class _Open:
    """A descriptor that is closed when nobody holds it any more, so never under a thread that reads."""

    def __init__(self, path: str) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class Folder:
    """The files under one URL. names of files are relative to it."""

    def __init__(self, url: str, cache: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.url = url.rstrip("/")
        self.cache = cache
        self.options = dict(options or {})
        if self.url.startswith(("http://", "https://")):
            import aiohttp

            self.options.setdefault(
                "client_kwargs", {"timeout": aiohttp.ClientTimeout(total=10 * TIMEOUT, sock_read=TIMEOUT)}
            )
        self._forget()
        _folders.add(self)

    def _forget(self) -> None:
        """What a forked process must not share, the lock too, which a thread of its parent may hold for ever."""
        self._files: dict[str, _Open] = {}
        self._lock = threading.Lock()
        self._system: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "cache": self.cache, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.url, self.cache, self.options = state["url"], state["cache"], state["options"]
        self._forget()
        _folders.add(self)

    @property
    def is_local(self) -> bool:
        return "://" not in self.url or self.url.startswith("file://")

    def path(self, name: str) -> str:
        """Where a file lies: a path on this machine, else a URL."""
        return (
            os.path.normpath(os.path.join(self.url.removeprefix("file://"), name))
            if self.is_local
            else _joined(self.url, name)
        )

    def read(self, name: str) -> bytes:
        """A whole file. Raises FileNotFoundError, Unreadable."""
        if self.is_local:
            with open(self.path(name), "rb") as file:
                return file.read()
        return self._again(name, lambda: bytes(self._remote().cat_file(self.path(name))))

    def exists(self, name: str) -> bool:
        if self.is_local:
            return os.path.exists(self.path(name))
        return self._again(name, lambda: bool(self._remote().exists(self.path(name))))

    def ranges(self, wanted: Sequence[Range]) -> list[bytes]:
        """The bytes of each range. Raises FileNotFoundError, Unreadable."""
        if self.is_local:
            return [self._local(self.path(name), offset, size) for name, offset, size in wanted]
        if self.cache is not None:
            kept = {name: self._cached(name) for name in dict.fromkeys(name for name, _, _ in wanted)}
            return [self._local(kept[name], offset, size) for name, offset, size in wanted]
        spans = together(wanted)
        fetched = list(self._threads().map(self._fetch, spans))
        result: list[bytes] = [b""] * len(wanted)
        for (_, start, _), members, data in zip(spans, _members(wanted, spans), fetched, strict=True):
            for number in members:
                _, offset, size = wanted[number]
                result[number] = data[offset - start : offset - start + size]
        return result

    def _local(self, path: str, offset: int, size: int) -> bytes:
        file = self._open(path)
        data = os.pread(file.number, size, offset)
        if len(data) != size:
            raise Unreadable(f"{path}: {len(data)} bytes at {offset}, expected {size}: the file was cut short")
        return data

    def _open(self, path: str) -> _Open:
        """A descriptor that all threads share."""
        with self._lock:
            if path not in self._files:
                if len(self._files) >= FILES:
                    self._files.pop(next(iter(self._files)))
                self._files[path] = _Open(path)
            return self._files[path]

    def _remote(self) -> Any:
        with self._lock:
            if self._system is None:
                self._system = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **self.options)[0]
            return self._system

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ranges")
            return self._pool

    def _fetch(self, wanted: Range) -> bytes:
        name, offset, size = wanted

        def once() -> bytes:
            data = bytes(self._remote().cat_file(self.path(name), start=offset, end=offset + size))
            if len(data) > size:
                raise NotImplementedError
            if len(data) < size:
                raise OSError(f"{len(data)} bytes at {offset}, expected {size}")
            return data

        try:
            return self._again(name, once)
        except NotImplementedError:
            words = "the server sends whole files where a range is asked for: give cache=FOLDER, or use another server"
            raise Unreadable(f"{self.path(name)}: {words}") from None

    def _again(self, name: str, once: Callable[[], T]) -> T:
        """What `once` gives, tried up to TRIES times; what is not there, or is forbidden, is told at once."""
        for attempt in range(TRIES):
            try:
                return once()
            except (FileNotFoundError, PermissionError, NotImplementedError):
                raise
            except Exception as error:
                # libraries below fsspec have errors of their own kinds
                if getattr(error, "status", 500) in (400, 401, 403, 404, 410) or attempt == TRIES - 1:
                    words = f"{type(error).__name__}: {error} (tried {attempt + 1} times)"
                    raise Unreadable(f"{self.path(name)}: {words}") from error
                time.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def _cached(self, name: str) -> str:
        """The local copy of a remote file, fetched by the first process that asks."""
        assert self.cache is not None
        of = json.dumps(self.options, sort_keys=True, default=lambda value: type(value).__name__)  # the endpoint ...
        scheme, rest = _joined(self.url, name).split("://", 1)
        origin = f"{scheme}-{hashlib.blake2b(of.encode(), digest_size=4).hexdigest()}"
        path = os.path.join(self.cache, origin, *rest.split("/"))
        if os.path.exists(path):
            return path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                self._again(name, lambda: self._copy(name, f"{path}.part"))
                os.replace(f"{path}.part", path)
        return path

    def _copy(self, name: str, target: str) -> None:
        with self._remote().open(self.path(name), "rb") as source, open(target, "wb") as file:
            while block := source.read(CHUNK):
                file.write(block)


_folders: weakref.WeakSet[Folder] = weakref.WeakSet()


def _after_fork() -> None:
    for folder in list(_folders):
        folder._forget()


os.register_at_fork(after_in_child=_after_fork)


def _joined(url: str, name: str) -> str:
    """`name` may begin with `../`."""
    scheme, rest = url.split("://", 1)
    parts: list[str] = []
    for part in f"{rest}/{name}".split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return f"{scheme}://{'/'.join(parts)}"


def together(wanted: Sequence[Range]) -> list[Range]:
    """The fewest ranges that hold those wanted, each gap under TOGETHER bytes."""
    spans: list[list[Any]] = []
    for name, offset, size in sorted(wanted):
        last = spans[-1] if spans else None
        if last and last[0] == name and offset - last[2] <= TOGETHER:
            last[2] = max(last[2], offset + size)
        else:
            spans.append([name, offset, offset + size])
    return [(name, start, end - start) for name, start, end in spans]


def _members(wanted: Sequence[Range], spans: Sequence[Range]) -> list[list[int]]:
    """Numbers of the ranges in each span."""
    members: list[list[int]] = [[] for _ in spans]
    starts: dict[str, list[tuple[int, int]]] = {}
    for number, (name, start, _) in enumerate(spans):
        starts.setdefault(name, []).append((start, number))
    for number, (name, offset, _) in enumerate(wanted):
        members[max(s for s in starts[name] if s[0] <= offset)[1]].append(number)
    return members
