"""What a person sees while a build runs: a line a stage with done / total, rate, time left and quarantined.

On a terminal the line is live; elsewhere a plain line is printed when a stage starts, at most every few seconds, and
when it ends.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY_S = 5.0


class StageProgress:
    """Progress of one stage; a context manager."""

    def __init__(self, console: Console, stage: str, done: int, total: int, shown: bool = True) -> None:
        self.console, self.stage, self.total, self.shown = console, stage, total, shown
        self.kept, self.done, self.quarantined = done, done, 0
        self.started = self.printed = time.monotonic()
        self.live: Progress | None = None

    def __enter__(self) -> StageProgress:
        if self.console.is_terminal and self.shown:
            self.live = Progress(
                TextColumn("{task.description:<8}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[aside]}"),
                console=self.console,
            )
            self.live.start()
            self.task = self.live.add_task(self.stage, total=self.total, completed=self.done, rate="", aside="")
        return self

    def advance(self, items: int, quarantined: int) -> None:
        self.done += items
        self.quarantined += quarantined
        if self.live is not None:
            aside = f"[yellow]{self.quarantined} set aside" if self.quarantined else ""
            self.live.update(self.task, completed=self.done, rate=f"{self._rate():.1f}/s", aside=aside)
        elif time.monotonic() - self.printed > EVERY_S and self.done < self.total:
            self.printed = time.monotonic()
            left = (self.total - self.done) / max(self._rate(), 1e-9)
            self._line(f"{self._rate():.1f}/s, {left:.0f} s left")

    def _rate(self) -> float:
        return (self.done - self.kept) / max(time.monotonic() - self.started, 1e-9)

    def _line(self, rest: str) -> None:
        if not self.shown:
            return
        aside = f", {self.quarantined} set aside" if self.quarantined else ""
        self.console.print(f"{self.stage:<8} {self.done}/{self.total}  {rest}{aside}", highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()
        elif kind is None:
            self._line(f"{time.monotonic() - self.started:.1f} s, {self.kept} were done before")


def console() -> Console:
    """Plain where standard output is not a terminal."""
    return Console(file=sys.stdout, soft_wrap=True)
