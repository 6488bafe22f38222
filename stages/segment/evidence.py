"""Candidate boundaries of an episode, each with its kind and strength.

In: arm motions and times. Out: `Candidate`s at the first frame of what begins there. Kinds: `closing_started`,
`closing_ended`, `opening_started`, `opening_ended` (a gripper that flips from one row to the next gives one candidate,
`closed` or `opened`), `motion_stopped`, `motion_onset`, `turn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.segment.config import SegmentConfig
from stages.segment.motion import ArmMotion

Float = npt.NDArray[np.float64]
RATE_SHARE = 0.1  # a gripper moves while its rate exceeds this share of the peak rate of that change
GRIPPER_KINDS = frozenset(
    {"closing_started", "closing_ended", "opening_started", "opening_ended", "closed", "opened"}
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A boundary: `frame` is the first of what begins there; strength 0 to 1."""

    frame: int
    kind: str
    arm: str
    strength: float


@dataclass(frozen=True, slots=True)
class GripperChange:
    """The gripper of `arm` closes or opens over frames [start, end)."""

    arm: str
    closes: bool
    start: int
    end: int


def gripper_changes(motion: ArmMotion, config: SegmentConfig) -> list[GripperChange]:
    """Closings and openings: hysteresis on the share of the opening's range in the episode, widened to where the fingers
    begin and cease to move. Empty where the gripper hardly moves or there is none."""
    opening = motion.opening
    if opening is None or len(opening) < 2:
        return []
    low, high = float(opening.min()), float(opening.max())
    if high - low < config.gripper_min_range:
        return []
    level = (opening - low) / (high - low)
    states = _hysteresis(level, config.gripper_low, config.gripper_high)
    rate = np.diff(level, prepend=level[0])  # rate[i]: change into frame i
    changes: list[GripperChange] = []
    for flip in np.flatnonzero(np.diff(states)) + 1:
        closes = not states[flip]
        into = -rate if closes else rate
        start, end = _extent(into, int(flip))
        if changes and start < changes[-1].end:
            start = min(changes[-1].end, int(flip))
        changes.append(GripperChange(motion.arm, closes, start, max(end, start + 1)))
    return changes


def gripper_candidates(change: GripperChange, min_frames: int) -> list[Candidate]:
    """One candidate for a change shorter than `min_frames`, else its start and its end."""
    if change.end - change.start < min_frames:
        return [Candidate(change.start, "closed" if change.closes else "opened", change.arm, 1.0)]
    verb = "closing" if change.closes else "opening"
    return [
        Candidate(change.start, f"{verb}_started", change.arm, 1.0),
        Candidate(change.end, f"{verb}_ended", change.arm, 0.95),
    ]


def rests(speed: Float, config: SegmentConfig, min_frames: int) -> list[tuple[int, int]]:
    """Half-open spans where the fastest arm is at rest for at least `min_frames`."""
    moving = _hysteresis(speed, config.still, config.moving)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], moving.astype(np.int8), [1]])))
    spans = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in spans if b - a >= min_frames]


def rest_candidates(spans: list[tuple[int, int]], frames: int, rate: float) -> list[Candidate]:
    """Where motion stops and where it sets in again; onset marks an event better than stop, a long rest than a short."""
    found = []
    for start, end in spans:
        length = 1.0 - 0.5 ** ((end - start) / rate / 0.5)
        if start > 0:
            found.append(Candidate(start, "motion_stopped", "all", 0.5 + 0.3 * length))
        if end < frames:
            found.append(Candidate(end, "motion_onset", "all", 0.6 + 0.3 * length))
    return found


def turns(speed: Float, config: SegmentConfig) -> list[Candidate]:
    """Speed minima between two strokes; strength: how deep, as a share of the lower of the two peaks."""
    found: list[Candidate] = []
    minima = np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])) + 1
    edges = [0, *minima.tolist(), len(speed)]
    for number, frame in enumerate(minima.tolist(), 1):
        left = float(speed[edges[number - 1] : frame].max(initial=0.0))
        right = float(speed[frame : edges[number + 1]].max(initial=0.0))
        peak = min(left, right)
        if peak > config.moving:
            depth = 1.0 - float(speed[frame]) / peak
            if depth >= config.turn_l0:
                found.append(Candidate(int(frame), "turn", "all", depth * min(1.0, peak / 0.5)))
    return found


def _hysteresis(values: Float, low: float, high: float) -> npt.NDArray[np.bool_]:
    """True from rising above `high` until falling below `low`; the first decided value holds before it."""
    decided = np.where(values > high, 1, np.where(values < low, 0, -1))
    known = np.flatnonzero(decided >= 0)
    if not len(known):
        return np.full(len(values), float(np.mean(values)) > (low + high) / 2)
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(values)), -1))
    return np.asarray(decided[np.where(last >= 0, last, known[0])] == 1)


def _extent(rate: Float, flip: int) -> tuple[int, int]:
    """Frames [start, end) around `flip` over which the change goes on; `rate` is positive in its direction."""
    peak = float(rate[max(0, flip - 2) : flip + 3].max())
    floor = RATE_SHARE * peak
    start = flip
    while start > 1 and rate[start - 1] > floor:
        start -= 1
    end = flip + 1
    while end < len(rate) and rate[end] > floor:
        end += 1
    return start, end
