"""What must not matter on real logs: how many boundaries are found again, and how many of those found were there.

In: logs of a corpus. Out: Markdown. The laws themselves are held on scripted operators by
tests/stages/segment/test_segment_invariance.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from stages.episode import Signal
from stages.segment import SegmentConfig
from stages.segment.tracks import Timebase, tracks_of
from tests.benchmarks.segmentation import scores
from tests.benchmarks.segmentation.episodes import Logs

Signals = Mapping[str, Signal]
Changed = tuple[dict[str, Signal], np.ndarray]
WITHIN_S = 0.15
LEVELS = ("L2", "L1", "L0")


def _moves(signal: Signal) -> bool:
    return not signal.kind.startswith(("gripper", "hand"))


def _resampled(rate: float, phase: float) -> Callable[[Signals, np.ndarray], Changed]:
    """The same course, logged at `rate` times the rate, `phase` of a step later."""

    def change(signals: Signals, times: np.ndarray) -> Changed:
        step = float(np.median(np.diff(times))) / rate
        at = np.arange(times[0] + phase * step, times[-1], step)
        return {k: replace(s, time_s=at, values=s.at(at)) for k, s in signals.items()}, at

    return change


def _dropped(signals: Signals, times: np.ndarray) -> Changed:
    kept = {k: (s, np.random.default_rng(0).random(len(s.time_s)) >= 0.05) for k, s in signals.items() if len(s.time_s)}
    return {k: replace(s, time_s=s.time_s[rows], values=s.values[rows]) for k, (s, rows) in kept.items()}, times


def _values(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Signals, np.ndarray], Changed]:
    def changed(signals: Signals, times: np.ndarray) -> Changed:
        return {k: replace(s, values=change(s.values)) if _moves(s) else s for k, s in signals.items()}, times

    return changed


def _noise(values: np.ndarray) -> np.ndarray:
    return np.asarray(values + np.random.default_rng(0).normal(0, 0.01, values.shape) * np.ptp(values, axis=0))


CHANGES = {
    "half a step later": _resampled(1.0, 0.5),
    "twice the rate": _resampled(2.0, 0.0),
    "a constant more": _values(lambda v: v + 3.7),
    "5 % dropped": _dropped,
    "noise of 1 % of range": _values(_noise),
}


def section(logs: Mapping[str, Logs]) -> list[str]:
    """One table; logs by the name of the set, episode ids beginning with it."""
    lines = [
        "## What must not matter, on real logs",
        "",
        f"Share of the boundaries of both arms that are found again within {WITHIN_S} s, and in brackets of the new",
        "ones that were there before: L2, L1, L0.",
        "",
        f"| | {' | '.join(CHANGES)} |",
        "| --- " * (1 + len(CHANGES)) + "|",
    ]
    for name, own in logs.items():
        cells = []
        for change in CHANGES.values():
            totals = {level: scores.Counts() for level in LEVELS}
            for episode in (e for e in own.alignments if e.startswith(name)):
                times = np.asarray(own.alignments[episode]["signal_time_s"], dtype=np.float64)
                before = _boundaries(own.signals[episode], times)
                after = _boundaries(*change(own.signals[episode], times))
                for level in LEVELS:
                    totals[level] += scores.boundaries(after[level], before[level], WITHIN_S)
            cells.append(", ".join(f"{t.recall:.2f} ({t.precision:.2f})" for t in totals.values()))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _boundaries(signals: Signals, times: np.ndarray) -> dict[str, list[float]]:
    clock = Timebase(times, times, float(times[-1] + np.median(np.diff(times))))
    track = tracks_of(signals, clock, SegmentConfig())[0]
    return {level: times[track.levels[level].frames[1:-1]].tolist() for level in LEVELS}
