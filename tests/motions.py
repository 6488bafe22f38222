"""Operators for tests: hands that go from place to place in smooth strokes, with rests, and act at some places.

In: a seed. Out: signals on a log's clock. Strokes are of minimum jerk (Flash and Hogan 1985), as people's are.
"""

from __future__ import annotations

import numpy as np

from stages.episode import Signal
from stages.segment.tracks import Timebase

Signals = dict[str, Signal]


def stream(kind: str, arm: str, unit: str, time: np.ndarray, values: np.ndarray) -> dict[str, Signal]:
    values = values[:, None] if values.ndim == 1 else values
    return {f"{kind}/{arm}": Signal(kind, arm, unit, time, values.astype(np.float64))}


def stroke(share: np.ndarray) -> np.ndarray:
    """0 to 1 with minimum jerk."""
    s = np.clip(share, 0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s * s)


def path(time: np.ndarray, places: np.ndarray, leaves: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """float64[T, D] from places[0] on: leaves place i at leaves[i], is at the next after seconds[i], before it leaves
    again."""
    i = np.maximum(np.searchsorted(leaves, time, side="right") - 1, 0)
    gone = stroke((time - leaves[i]) / seconds[i])[:, None]
    return places[i] + (places[i + 1] - places[i]) * gone


def pick_and_place(time: np.ndarray, seed: int, arm: str = "single", rounds: int = 2) -> Signals:
    """A hand that picks and places `rounds` times: reach down, grasp, lift, carry, lower, release, retract."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.3, 0.3, (2, 2 * rounds))
    places, leaves, seconds, changes = [np.array([0.0, 0.0, 0.35])], [], [], []
    now = rng.uniform(0.4, 1.0)

    def go(place: list[float], rest: float) -> None:
        nonlocal now
        length = float(np.linalg.norm(np.array(place) - places[-1]))
        took = max(0.7, length / rng.uniform(0.15, 0.25))
        leaves.append(now)
        seconds.append(took)
        places.append(np.array(place))
        now += took + rest

    for i in range(rounds):
        a, b = 2 * i, 2 * i + 1
        go([x[a], y[a], 0.05], 0.1)
        changes.append((now, 0.35, rng.uniform(0.1, 0.4)))
        now += rng.uniform(0.7, 1.2)
        go([x[a], y[a], 0.3], 0.0)
        go([x[b], y[b], 0.3], rng.uniform(0.0, 0.8))
        go([x[b], y[b], 0.06], 0.2)
        changes.append((now, 0.25, 1.0))
        now += rng.uniform(0.5, 0.9)
        go([x[b], y[b], 0.3], rng.uniform(0.5, 1.0))
    opening, level = np.ones(len(time)), 1.0
    for start, took, to in changes:
        later = int(np.searchsorted(time, start))
        opening[later:] = level + (to - level) * np.clip((time[later:] - start) / took, 0.0, 1.0)
        level = to
    moved = path(time, np.array(places), np.array(leaves), np.array(seconds))
    return stream("position", arm, "m", time, moved) | stream("gripper", arm, "1", time, opening)


def times(seconds: float, rate: float, phase: float = 0.0) -> np.ndarray:
    return np.arange(int(seconds * rate)) / rate + phase / rate


def clock(time: np.ndarray) -> Timebase:
    """Frames at the log's own times."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    return Timebase(time, time, float(time[-1]) + step)
