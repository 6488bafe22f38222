"""Ctrl-C, and a scheduler's SIGTERM: a run ends the step it is at, saves, and stops; a second one stops it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """`asked`: a signal has come."""

    def __init__(self) -> None:
        self.asked = False
        self._owner = os.getpid()

    def __call__(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a worker of the loader: Ctrl-C is its owner's, which ends it by SIGTERM
            if number == signal.SIGTERM:
                os._exit(0)
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def heeded() -> Iterator[Stop]:
    """In the block signals are noted. They reach the main thread alone; elsewhere nothing is changed."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [signal.signal(number, stop) for number in NUMBERS]
    try:
        yield stop
    finally:
        for number, old in zip(NUMBERS, before, strict=True):
            signal.signal(number, old)
