"""What a run says of itself: a line of progress, metrics.jsonl, TensorBoard's events.

In: figures of a step. Out: on a terminal a line that is written over, elsewhere one every half minute; a line of JSON a
measurement. Those of steps that a resumed run does again are dropped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
BETWEEN_S = 30.0  # lines, where nothing can be written over
SHOWN_S = 0.2  # the same on a terminal
REMEMBER = 0.98  # of the rate that is shown, a step


def plain(line: str) -> None:
    print(line, flush=True)


class Progress:
    """total: steps of the whole run; done: before this start."""

    def __init__(self, total: int, done: int, say: Say = plain) -> None:
        self.total, self.say = total, say
        self.live = say is plain and sys.stdout.isatty()
        self._begun, self._done = time.perf_counter(), done
        self._shown = self._last = self._begun
        self.loss: float | None = None
        self.samples_per_s = 0.0
        self._pace, self._steps = 0.0, 0
        self._wide = 0

    def step(self, number: int, stage: str, samples: int, loss: float | None = None) -> None:
        """number: steps done; samples: of this one; loss: where it was looked at."""
        now = time.perf_counter()
        pace = (now - self._last) / max(1, samples)
        self._last = now
        self.loss = self.loss if loss is None else loss
        self._steps += 1
        # the first step waits for workers to start; the mean of those after it, then of the last ones
        keep = 0.0 if self._steps <= 2 else min(REMEMBER, 1 - 1 / (self._steps - 1))
        self._pace = keep * self._pace + (1 - keep) * pace
        self.samples_per_s = 1 / self._pace
        if now - self._shown >= (SHOWN_S if self.live else BETWEEN_S) or number == self.total:
            self._shown = now
            left = (now - self._begun) / max(1, number - self._done) * (self.total - number)
            shown = "" if self.loss is None else f"loss {self.loss:.4f}  "
            self._write(
                f"step {number:,} of {self.total:,}  {stage}  {shown}{self.samples_per_s:,.1f} samples/s  "
                f"{clock(left)} left"
            )

    def _write(self, line: str) -> None:
        if not self.live:
            self.say(line)
            return
        sys.stdout.write("\r" + line.ljust(self._wide))
        sys.stdout.flush()
        self._wide = len(line)

    def line(self, text: str) -> None:
        """A line that stays. The time it took to find out is no step's."""
        if self.live and self._wide:
            sys.stdout.write("\r" + " " * self._wide + "\r")
            self._wide = 0
        self.say(text)
        self._last = time.perf_counter()


def clock(seconds: float) -> str:
    """0:42, 12:05, 3:20:00."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


class Metrics:
    """Lines of `metrics.jsonl` in a folder; those after `step` are dropped at the start."""

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self.path = folder / "metrics.jsonl"
        kept = [line for line in read(folder) if line["step"] <= step] if step else []
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._events = _events(folder / "tensorboard", step) if tensorboard else None

    def write(self, step: int, stage: str, figures: Mapping[str, float]) -> None:
        with open(self.path, "a", encoding="utf-8") as sink:
            sink.write(json.dumps({"step": step, "stage": stage} | dict(figures)) + "\n")
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def _events(folder: Path, step: int) -> Any:
    """A writer of TensorBoard's events; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def read(folder: Path) -> list[dict[str, Any]]:
    """Lines of a run's metrics, whole ones."""
    path = folder / "metrics.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:  # the machine went away in the middle of a line
            continue
    return found
