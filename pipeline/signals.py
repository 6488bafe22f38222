"""Ctrl-C, and a scheduler's SIGTERM: the first one stops a command in order, a second changes nothing, a third ends the
process at once.

A second KeyboardInterrupt would be raised wherever the first one has led: in what cleans up, or while the interpreter
ends, which then reports a death by SIGINT. One that is raised inside a callback of a library is lost there: `check`
says so to whoever goes on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INSIST = 3  # the signal that ends the process at once, whatever it is at
STOPPED = 130  # exit code
NUMBERS = (signal.SIGINT, signal.SIGTERM)


class _Interrupt:
    """A signal handler that raises KeyboardInterrupt once."""

    current: _Interrupt | None = None  # the one in place

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.seen += 1
        if self.seen >= INSIST:
            os._exit(STOPPED)
        if self.seen == 1:
            raise KeyboardInterrupt


def ignore() -> None:
    """Nothing changes any more: an interpreter that ends puts Python's own handlers away, and a signal would kill
    it."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def heeded() -> Iterator[None]:
    """In the block both signals raise KeyboardInterrupt, once. After one they stay as they are: the command is
    ending."""
    handler, outer = _Interrupt(), _Interrupt.current
    before = [signal.signal(number, handler) for number in NUMBERS]
    _Interrupt.current = handler
    try:
        yield
    finally:
        _Interrupt.current = outer
        if not handler.seen:
            for number, old in zip(NUMBERS, before, strict=True):
                signal.signal(number, old)


def check() -> None:
    """Raise KeyboardInterrupt if a signal came and the command goes on all the same. Not for what cleans up."""
    if _Interrupt.current is not None and _Interrupt.current.seen:
        raise KeyboardInterrupt


@contextmanager
def signals_wait() -> Iterator[None]:
    """Signals are heeded at the end of the block: in the middle of starting or closing Ray they crash it.

    Raises KeyboardInterrupt there, unless one was raised before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []

    def wait(number: int, _: FrameType | None) -> None:
        seen.append(number)
        if len(seen) >= INSIST:
            os._exit(STOPPED)

    before = [signal.signal(number, wait) for number in NUMBERS]
    try:
        yield
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
    if not seen:
        return
    if isinstance(before[0], _Interrupt):
        for came in seen:
            before[0](came, None)
    else:
        raise KeyboardInterrupt
