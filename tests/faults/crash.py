"""A build that dies at a chosen point, as its own process: `python -m tests.faults.crash POINT build --source ...`.

A point is a file about to be published (a pattern of its path, the how many-th of them in all processes) and a phase:
`begun` leaves half a temporary file, `written` a whole one that was not renamed yet, `published` dies right after the
rename. Who dies is the process group with the worker that came to the point, or that worker alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from stages import storage

PHASES = ("begun", "written", "published")


@dataclass(frozen=True)
class Point:
    """`where` is matched against the path inside the corpus; `once` names a file that keeps it from happening twice."""

    where: str
    phase: str
    nth: int = 1
    victim: str = "group"
    once: str = ""
    clock: bool = False  # let the worker's wall clock jump about
    count: str = ""  # a file of a byte for each that was come by

    def arguments(self) -> list[str]:
        return [sys.executable, "-m", "tests.faults.crash", json.dumps(asdict(self))]


def arm(point: Point, group: int) -> None:
    """From now on, publishing in this process dies at the point."""
    original, original_replace = storage.staged, os.replace

    def here(uri: str) -> bool:
        if not re.search(point.where, uri) or (point.once and os.path.exists(point.once)):
            return False
        with open(point.count, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0, os.SEEK_END)
            file.write(b".")
            return file.tell() == point.nth

    @contextmanager
    def staged(uri: str) -> Iterator[str]:
        hit = here(uri)
        with original(uri) as temporary:
            if hit and point.phase == "begun":
                with open(temporary, "wb") as file:
                    file.write(b"half a fi")
                die(point, group)
            yield temporary
            if hit and point.phase == "written":
                die(point, group)
        if hit:
            die(point, group)

    def publish(source: str, target: str) -> None:
        """shards/latest is a link, and so is not staged."""
        hit = target.endswith("/latest") and here(target)
        if hit and point.phase != "published":
            die(point, group)
        original_replace(source, target)
        if hit:
            die(point, group)

    storage.staged, os.replace = staged, publish  # type: ignore[assignment]
    if point.clock:
        real = time.time
        time.time = lambda: real() + 86_400 * (-1) ** int(real() * 1000)


def die(point: Point, group: int) -> None:
    if point.once:
        open(point.once, "w").close()
    if point.victim == "group":
        os.killpg(group, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def executing(point: Point, group: int) -> Any:
    """`pipeline.build.runner._execute`, armed; made here so that Ray takes it along by value."""

    def run(unit: Any, context: Any) -> Any:
        import tests.faults.crash as crash
        from pipeline.build import runner as original

        if not getattr(crash, "armed", False):
            crash.arm(crash.Point(**values), group)
            crash.armed = True
        return original._execute(unit, context)

    values = asdict(point)
    return run


def main() -> None:
    import pipeline.build.runner
    from pipeline.cli import main as corpus
    from pipeline.corpus.ledger import Ledger

    point = replace(Point(**json.loads(sys.argv[1])), count=tempfile.mkstemp(prefix="point-")[1])
    group = os.getpgid(0)
    armed = executing(point, group)
    if point.victim == "group":
        arm(point, group)  # the driver publishes too
    if "checkpoint" in point.where:  # of the few commits of a small build too
        Ledger.fold.__defaults__ = (0,)
    pipeline.build.runner._execute = armed
    corpus(sys.argv[2:])


if __name__ == "__main__":
    main()
