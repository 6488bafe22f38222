"""Media written while work goes on: flushed to disk (or uploaded), put in place and hashed by a thread of their own.

In: paths inside the corpus, written locally. Out: their `PartFile`s, once they are in place. A clip waits 10 ms for the
disk, in which the next frames can be decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from pipeline.ledger import Ledger, PartFile
from stages import storage


class MediaWriter:
    """A context manager; its end waits for all files."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._thread = ThreadPoolExecutor(1)
        self._files: dict[str, Future[PartFile]] = {}
        self._lost: storage.Unusable | None = None

    @contextmanager
    def write(self, path: str) -> Iterator[str]:
        """A local path to write to; on a clean exit it is on its way to media/`path`, else it is removed."""
        path = f"media/{path}"
        with ExitStack() as stack:
            yield stack.enter_context(storage.staged(self.ledger.path(path)))
            self._files[path] = self._thread.submit(self._publish, path, stack.pop_all())

    def file(self, path: str) -> PartFile:
        """media/`path` once it is in place. Raises Unusable, OSError; KeyError for what was not written."""
        return self._files[f"media/{path}"].result()

    def _publish(self, path: str, stack: ExitStack) -> PartFile:
        """After one that found the place unusable no other is tried: each could wait minutes for a store."""
        if self._lost is not None:
            stack.__exit__(type(self._lost), self._lost, None)  # removes the temporary file
            raise self._lost
        try:
            stack.close()
            return self.ledger.identify(path)
        except storage.Unusable as error:
            self._lost = error
            raise

    def __enter__(self) -> MediaWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
