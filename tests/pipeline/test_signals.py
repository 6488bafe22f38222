"""A signal ends a command whatever it arrives in: also where the exception that it raises is lost."""

import os
import signal

import pytest
import ray

from pipeline.build.session import Session
from pipeline.signals import NUMBERS, check, heeded, signals_wait


class Swallowing:
    """What an exception in a finalizer, or in a callback of a library, comes to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        for _ in range(1000):  # the handler runs between two of these
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_was_lost_in_a_callback_is_heeded_at_the_next_look(number):
    before = signal.getsignal(number)
    try:
        with heeded(), heeded():  # the command line's, the command's
            check()
            Swallowing(number)  # its KeyboardInterrupt is "ignored in"
            with pytest.raises(KeyboardInterrupt):
                check()
    finally:
        signal.signal(number, before)


def test_ray_does_not_take_our_place_while_it_starts(tmp_path, monkeypatch):
    before = {number: signal.getsignal(number) for number in NUMBERS}
    started = []

    def init(**_: object) -> None:
        ray._private.utils.set_sigterm_handler(lambda *_: None)
        os.kill(os.getpid(), signal.SIGTERM)
        started.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    kept = ray._private.utils.set_sigterm_handler
    session = Session(1, str(tmp_path))
    try:
        with heeded(), pytest.raises(KeyboardInterrupt):
            session.start()
        assert started
        assert ray._private.utils.set_sigterm_handler is kept
    finally:
        session._quiet.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_wait_until_the_end_of_the_block():
    before = {number: signal.getsignal(number) for number in NUMBERS}
    passed = []

    def block() -> None:
        with signals_wait():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            passed.append(True)

    try:
        with heeded(), pytest.raises(KeyboardInterrupt):
            block()
        assert passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
