"""Files written while work goes on: hashed, flushed to disk (or uploaded) and put in place by a thread of their own.

In: paths inside the corpus, written locally. Out: bytes and sha256, once they are in place. A clip waits 10 ms for the
disk, in which the next frames can be decoded. A file is hashed where it was written, before it goes anywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from pipeline.corpus.ledger import Ledger
from stages import storage
from stages.work import Written


class MediaWriter:
    """A context manager; its end waits for all files."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._thread = ThreadPoolExecutor(1)
        self._files: dict[str, Future[Written]] = {}
        self._lost: storage.Unusable | None = None

    @contextmanager
    def write(self, path: str) -> Iterator[str]:
        """A local path to write to; on a clean exit it is on its way to `path` of the corpus, else it is removed."""
        with ExitStack() as stack:
            local = stack.enter_context(storage.staged(self.ledger.path(path)))
            yield local
            self._files[path] = self._thread.submit(self._publish, path, local, stack.pop_all())

    def file(self, path: str) -> Written:
        """`path` once it is in place. Raises Unusable, OSError; KeyError for what was not written."""
        return self._files[path].result()

    def _publish(self, path: str, local: str, stack: ExitStack) -> Written:
        """After one that found the place unusable no other is tried: each could wait minutes for a store."""
        if self._lost is not None:
            stack.__exit__(type(self._lost), self._lost, None)  # removes the temporary file
            raise self._lost
        try:
            with open(local, "rb") as file:
                digest, size = hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
        except BaseException as error:
            stack.__exit__(type(error), error, error.__traceback__)
            raise
        try:
            stack.close()
        except storage.Unusable as error:
            self._lost = error
            raise
        return Written(path, size, digest)

    def __enter__(self) -> MediaWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
